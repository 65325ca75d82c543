/*
 * What receipts are made of: the words in both languages, and the templates
 * of text and HTML. {{name}} stands for an escaped value, {{{name}}} for a
 * finished piece.
 */
#ifndef SHOTAI_RECEIPT_TEMPLATE_H
#define SHOTAI_RECEIPT_TEMPLATE_H

#include "base/problem.h"

enum receipt_word {
	RECEIPT_SUBJECT_RECEIPT,
	RECEIPT_SUBJECT_REFUND,
	RECEIPT_TITLE_RECEIPT,
	RECEIPT_TITLE_REFUND,
	RECEIPT_LEAD_RECEIPT,
	RECEIPT_LEAD_NO_CREDITS,
	RECEIPT_LEAD_REFUND,
	RECEIPT_CREDIT_ONE,
	RECEIPT_CREDIT_OTHER,
	RECEIPT_PRODUCT,
	RECEIPT_CREDITS,
	RECEIPT_PERIOD,
	RECEIPT_PERIOD_SPAN,
	RECEIPT_PRICE,
	RECEIPT_TAX,
	RECEIPT_TAX_INCLUDED,
	RECEIPT_PAID,
	RECEIPT_REFUNDED,
	RECEIPT_REFUNDED_IN_ALL,
	RECEIPT_REFUNDED_OF,
	RECEIPT_TAKEN_BACK,
	RECEIPT_LOST,
	RECEIPT_DATE,
	RECEIPT_ORDER,
	RECEIPT_TRANSACTION,
	RECEIPT_FOOT_ORDERS,
	RECEIPT_FOOT_WHY,
	RECEIPT_FOOT_HELP,
	RECEIPT_WORD__COUNT
};

extern const char *const receipt_words[RECEIPT_WORD__COUNT][LANGUAGE__COUNT];

extern const char receipt_text[], receipt_text_line[];

/* The HTML in its order, with the lines after the top and the facts after the middle. */
extern const char receipt_html_head[], receipt_html_top[], receipt_html_middle[], receipt_html_foot[];
/* A pair of label and value: a number, words, the sum, and the small print. */
extern const char receipt_html_line[], receipt_html_words[], receipt_html_total[], receipt_html_fact[];

#endif
