#include "feature/receipt.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/text.h"
#include "feature/receipt_template.h"

#define MAIL_MAX ((size_t)256 << 10)
#define FIELDS_MAX 16
#define LINES_MAX 16
#define NO_BREAK "\xc2\xa0"

struct field {
	const char *name, *value;
};

struct fields {
	struct field list[FIELDS_MAX];
	size_t count;
};

enum line_kind { LINE_PLAIN, LINE_WORDS, LINE_TOTAL, LINE_FACT, LINE_DATE };

struct line {
	enum line_kind kind;
	const char *label, *value;
};

/* One mail being written. */
struct draft {
	struct arena *arena;
	const struct receipt *receipt;
	enum language language;
	struct line lines[LINES_MAX];
	size_t line_count;
};

static void
set(struct fields *fields, const char *name, const char *value)
{
	if (fields->count == FIELDS_MAX)
		abort();
	fields->list[fields->count++] = (struct field){name, value};
}

static const char *
value_of(const struct fields *fields, const char *name, size_t len)
{
	for (size_t i = 0; i < fields->count; i++)
		if (strlen(fields->list[i].name) == len && memcmp(fields->list[i].name, name, len) == 0)
			return fields->list[i].value;
	abort();
}

/* A value as text: on one line, and nothing but text. */
static void
add_plain(struct text *to, const char *value)
{
	for (size_t size, left = strlen(value); left > 0; value += size, left -= size) {
		size = text_utf8(value, left);
		if (size == 0) {
			text_add(to, "\xef\xbf\xbd");
			size = 1;
		} else if (iscntrl((unsigned char)*value)) {
			text_add(to, " ");
		} else {
			text_add_bytes(to, value, size);
		}
	}
}

/* Adds template with {{name}} replaced by the field, escaped where it is HTML, and {{{name}}} by the field as it is. */
static void
fill(struct text *to, const char *template, const struct fields *fields, bool html)
{
	for (const char *open; (open = strstr(template, "{{")) != NULL;) {
		bool raw = open[2] == '{';
		const char *name = open + (raw ? 3 : 2), *end = strstr(name, "}}");
		const char *value = value_of(fields, name, (size_t)(end - name));

		text_add_bytes(to, template, (size_t)(open - template));
		template = end + (raw ? 3 : 2);
		if (raw) {
			text_add(to, value);
		} else {
			struct text plain;

			text_init(&plain, to->arena, MAIL_MAX);
			add_plain(&plain, value);
			(html ? text_add_html : text_add)(to, plain.data);
		}
	}
	text_add(to, template);
}

static const char *
filled(struct arena *arena, const char *template, const struct fields *fields)
{
	struct text text;

	text_init(&text, arena, MAIL_MAX);
	fill(&text, template, fields, false);
	return text.data;
}

static const char *
word(const struct draft *draft, enum receipt_word which)
{
	return receipt_words[which][draft->language];
}

/* 1,234 or 1.234. */
static const char *
grouped(struct arena *arena, uint64_t number, enum language language)
{
	char digits[24];
	struct text text;
	size_t len = (size_t)snprintf(digits, sizeof digits, "%" PRIu64, number);

	text_init(&text, arena, 64);
	for (size_t i = 0; i < len; i++) {
		if (i > 0 && (len - i) % 3 == 0)
			text_add(&text, language == LANGUAGE_NL ? "." : ",");
		text_add_bytes(&text, &digits[i], 1);
	}
	return text.data;
}

const char *
receipt_money(struct arena *arena, int64_t cents, const char *currency, enum language language)
{
	static const struct {
		const char *currency, *sign;
	} signs[] = {{"EUR", "\xe2\x82\xac"}, {"USD", "$"}, {"GBP", "\xc2\xa3"}};
	uint64_t size = cents < 0 ? -(uint64_t)cents : (uint64_t)cents;
	const char *minus = cents < 0 ? "\xe2\x88\x92" : "", *sign = currency;
	const char *whole = grouped(arena, size / 100, language);
	bool known = false;

	for (size_t i = 0; i < sizeof signs / sizeof *signs; i++) {
		if (strcmp(signs[i].currency, currency) == 0) {
			sign = signs[i].sign;
			known = true;
		}
	}
	if (language == LANGUAGE_NL)
		return arena_printf(arena, "%s" NO_BREAK "%s%s,%02d", sign, minus, whole, (int)(size % 100));
	return arena_printf(arena, "%s%s%s%s.%02d", minus, sign, known ? "" : NO_BREAK, whole, (int)(size % 100));
}

const char *
receipt_date(struct arena *arena, const char *time, enum language language)
{
	static const char *const months[12][LANGUAGE__COUNT] = {{"January", "januari"}, {"February", "februari"},
	    {"March", "maart"}, {"April", "april"}, {"May", "mei"}, {"June", "juni"}, {"July", "juli"},
	    {"August", "augustus"}, {"September", "september"}, {"October", "oktober"}, {"November", "november"},
	    {"December", "december"}};
	static const char form[] = "dddd-dd-dd";
	unsigned long month, day;

	for (size_t i = 0; form[i] != '\0'; i++)
		if (form[i] == 'd' ? !isdigit((unsigned char)time[i]) : time[i] != form[i])
			return NULL;
	month = strtoul(time + 5, NULL, 10);
	day = strtoul(time + 8, NULL, 10);
	if (month < 1 || month > 12 || day < 1 || day > 31)
		return NULL;
	return arena_printf(arena, "%lu %s %.4s", day, months[month - 1][language], time);
}

static const char *
money(const struct draft *draft, int64_t cents)
{
	return receipt_money(draft->arena, cents, draft->receipt->currency, draft->language);
}

static const char *
count(const struct draft *draft, int64_t number)
{
	return arena_printf(draft->arena, "%s%s", number < 0 ? "\xe2\x88\x92" : "",
	    grouped(draft->arena, number < 0 ? -(uint64_t)number : (uint64_t)number, draft->language));
}

static void
add_line(struct draft *draft, enum line_kind kind, enum receipt_word label, const char *value)
{
	if (value == NULL || *value == '\0')
		return;
	if (draft->line_count == LINES_MAX)
		abort();
	draft->lines[draft->line_count++] = (struct line){kind, word(draft, label), value};
}

static void
add_money(struct draft *draft, enum line_kind kind, enum receipt_word label, int64_t cents)
{
	if (cents != RECEIPT_NONE && draft->receipt->currency != NULL)
		add_line(draft, kind, label, money(draft, cents));
}

static const char *
product(const struct draft *draft)
{
	const struct receipt *receipt = draft->receipt;

	if (receipt->units == RECEIPT_NONE || receipt->units <= 1)
		return receipt->product;
	return arena_printf(draft->arena, "%s \xc3\x97 %s", count(draft, receipt->units), receipt->product);
}

static const char *
period(const struct draft *draft)
{
	const struct receipt *receipt = draft->receipt;
	const char *from, *to;
	struct fields fields = {0};

	if (receipt->period_start == NULL || receipt->period_end == NULL)
		return NULL;
	from = receipt_date(draft->arena, receipt->period_start, draft->language);
	to = receipt_date(draft->arena, receipt->period_end, draft->language);
	if (from == NULL || to == NULL)
		return NULL;
	set(&fields, "from", from);
	set(&fields, "to", to);
	return filled(draft->arena, word(draft, RECEIPT_PERIOD_SPAN), &fields);
}

static void
add_payment(struct draft *draft)
{
	const struct receipt *receipt = draft->receipt;

	if (receipt->credits != RECEIPT_NONE)
		add_line(draft, LINE_PLAIN, RECEIPT_CREDITS, count(draft, receipt->credits));
	add_line(draft, LINE_WORDS, RECEIPT_PERIOD, period(draft));
	if (receipt->amount != RECEIPT_NONE && receipt->tax != RECEIPT_NONE && receipt->paid != RECEIPT_NONE &&
	    receipt->paid - receipt->tax == receipt->amount) {
		add_money(draft, LINE_PLAIN, RECEIPT_PRICE, receipt->amount);
		add_money(draft, LINE_PLAIN, RECEIPT_TAX, receipt->tax);
		add_money(draft, LINE_TOTAL, RECEIPT_PAID, receipt->paid);
	} else {
		add_money(draft, LINE_TOTAL, RECEIPT_PAID, receipt->paid);
		add_money(draft, LINE_PLAIN, RECEIPT_TAX_INCLUDED, receipt->tax);
	}
}

static void
add_refund(struct draft *draft)
{
	const struct receipt *receipt = draft->receipt;
	struct fields fields = {0};

	if (receipt->credits != RECEIPT_NONE)
		add_line(draft, LINE_PLAIN, RECEIPT_TAKEN_BACK, count(draft, receipt->credits));
	if (receipt->lost != RECEIPT_NONE && receipt->lost != 0)
		add_line(draft, LINE_PLAIN, RECEIPT_LOST, count(draft, receipt->lost));
	add_money(draft, LINE_TOTAL, RECEIPT_REFUNDED, receipt->refunded);
	if (receipt->currency != NULL && receipt->refunded_in_all != RECEIPT_NONE && receipt->paid != RECEIPT_NONE &&
	    (receipt->refunded_in_all != receipt->refunded || receipt->refunded_in_all != receipt->paid)) {
		set(&fields, "refunded", money(draft, receipt->refunded_in_all));
		set(&fields, "paid", money(draft, receipt->paid));
		add_line(draft, LINE_WORDS, RECEIPT_REFUNDED_IN_ALL,
		    filled(draft->arena, word(draft, RECEIPT_REFUNDED_OF), &fields));
	}
}

static void
add_lines(struct draft *draft)
{
	const struct receipt *receipt = draft->receipt;

	add_line(draft, LINE_WORDS, RECEIPT_PRODUCT, product(draft));
	if (receipt->refund)
		add_refund(draft);
	else
		add_payment(draft);
	add_line(draft, LINE_DATE, RECEIPT_DATE,
	    receipt->at == NULL ? NULL : receipt_date(draft->arena, receipt->at, draft->language));
	add_line(draft, LINE_FACT, RECEIPT_ORDER, receipt->order);
	add_line(draft, LINE_FACT, RECEIPT_TRANSACTION, receipt->transaction);
}

static const char *
lead(const struct draft *draft)
{
	int64_t credits = draft->receipt->credits;
	struct fields fields = {0};

	if (draft->receipt->refund)
		return word(draft, RECEIPT_LEAD_REFUND);
	if (credits == RECEIPT_NONE || credits <= 0)
		return word(draft, RECEIPT_LEAD_NO_CREDITS);
	set(&fields, "n", count(draft, credits));
	const char *amount =
	    filled(draft->arena, word(draft, credits == 1 ? RECEIPT_CREDIT_ONE : RECEIPT_CREDIT_OTHER), &fields);
	fields.count = 0;
	set(&fields, "credits", amount);
	return filled(draft->arena, word(draft, RECEIPT_LEAD_RECEIPT), &fields);
}

static const char *
subject(const struct draft *draft)
{
	const struct receipt *receipt = draft->receipt;
	bool amount = receipt->refund && receipt->refunded != RECEIPT_NONE && receipt->currency != NULL;
	struct fields fields = {0};

	set(&fields, "product", product(draft));
	if (amount)
		set(&fields, "amount", money(draft, receipt->refunded));
	else if (receipt->refund)
		set(&fields, "amount", word(draft, RECEIPT_TITLE_REFUND));
	return filled(
	    draft->arena, word(draft, receipt->refund ? RECEIPT_SUBJECT_REFUND : RECEIPT_SUBJECT_RECEIPT), &fields);
}

/* The lines of a section (the small print, or the others) as text or HTML, whose top already tells the date. */
static const char *
section(const struct draft *draft, bool small, bool html)
{
	static const char *const templates[] = {
	    [LINE_PLAIN] = receipt_html_line,
	    [LINE_WORDS] = receipt_html_words,
	    [LINE_TOTAL] = receipt_html_total,
	    [LINE_FACT] = receipt_html_fact,
	};
	struct text text;

	text_init(&text, draft->arena, MAIL_MAX);
	for (size_t i = 0; i < draft->line_count; i++) {
		const struct line *line = &draft->lines[i];
		struct fields fields = {0};

		if ((line->kind >= LINE_FACT) != small || (line->kind == LINE_DATE && html))
			continue;
		set(&fields, "label", line->label);
		set(&fields, "value", line->value);
		fill(&text, html ? templates[line->kind] : receipt_text_line, &fields, html);
	}
	return text.data;
}

static const char *
whole_text(const struct draft *draft, const struct fields *common)
{
	struct fields fields = *common;
	struct text text;

	set(&fields, "lines", section(draft, false, false));
	set(&fields, "facts", section(draft, true, false));
	text_init(&text, draft->arena, MAIL_MAX);
	fill(&text, receipt_text, &fields, false);
	return text.data;
}

static const char *
whole_html(const struct draft *draft, const struct fields *fields)
{
	struct text text;

	text_init(&text, draft->arena, MAIL_MAX);
	fill(&text, receipt_html_head, fields, true);
	fill(&text, receipt_html_top, fields, true);
	text_add(&text, section(draft, false, true));
	fill(&text, receipt_html_middle, fields, true);
	text_add(&text, section(draft, true, true));
	fill(&text, receipt_html_foot, fields, true);
	return text.data;
}

void
receipt_write(struct arena *arena, const struct receipt *receipt, const struct receipt_site *site,
    enum language language, struct receipt_mail *ret_mail)
{
	static const char *const languages[LANGUAGE__COUNT] = {[LANGUAGE_EN] = "en", [LANGUAGE_NL] = "nl"};
	struct draft draft = {.arena = arena, .receipt = receipt, .language = language};
	struct fields fields = {0};
	const char *date = receipt->at == NULL ? NULL : receipt_date(arena, receipt->at, language);

	add_lines(&draft);
	ret_mail->subject = subject(&draft);
	set(&fields, "language", languages[language]);
	set(&fields, "subject", ret_mail->subject);
	set(&fields, "title", word(&draft, receipt->refund ? RECEIPT_TITLE_REFUND : RECEIPT_TITLE_RECEIPT));
	set(&fields, "lead", lead(&draft));
	set(&fields, "date", date == NULL ? "" : date);
	set(&fields, "orders", word(&draft, RECEIPT_FOOT_ORDERS));
	set(&fields, "why", word(&draft, RECEIPT_FOOT_WHY));
	set(&fields, "help", word(&draft, RECEIPT_FOOT_HELP));
	set(&fields, "url", site->url);
	set(&fields, "support", site->support);
	ret_mail->text = whole_text(&draft, &fields);
	ret_mail->html = whole_html(&draft, &fields);
}
