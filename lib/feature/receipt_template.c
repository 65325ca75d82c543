#include "feature/receipt_template.h"

const char *const receipt_words[RECEIPT_WORD__COUNT][LANGUAGE__COUNT] = {
    [RECEIPT_SUBJECT_RECEIPT] = {"Your ShotAI receipt: {{product}}", "Je bon van ShotAI: {{product}}"},
    [RECEIPT_SUBJECT_REFUND] = {"{{amount}} back from ShotAI: {{product}}", "{{amount}} terug van ShotAI: {{product}}"},
    [RECEIPT_TITLE_RECEIPT] = {"Receipt", "Bon"},
    [RECEIPT_TITLE_REFUND] = {"Refund", "Terugbetaling"},
    [RECEIPT_LEAD_RECEIPT] = {"Thank you, {{credits}} added to your account.",
	"Bedankt, {{credits}} bijgeschreven op je account."},
    [RECEIPT_LEAD_NO_CREDITS] = {"Thank you for your payment.", "Bedankt voor je betaling."},
    [RECEIPT_LEAD_REFUND] = {"The money goes back the way you paid. Your bank may need a few days to show it.",
	"Het geld gaat terug zoals je betaald hebt. Je bank heeft daar soms een paar dagen voor nodig."},
    [RECEIPT_CREDIT_ONE] = {"{{n}} credit", "{{n}} credit"},
    [RECEIPT_CREDIT_OTHER] = {"{{n}} credits", "{{n}} credits"},
    [RECEIPT_PRODUCT] = {"Item", "Product"},
    [RECEIPT_CREDITS] = {"Credits", "Credits"},
    [RECEIPT_PERIOD] = {"Period", "Periode"},
    [RECEIPT_PERIOD_SPAN] = {"{{from}} to {{to}}", "{{from}} tot {{to}}"},
    [RECEIPT_PRICE] = {"Price", "Prijs"},
    [RECEIPT_TAX] = {"Tax", "Btw"},
    [RECEIPT_TAX_INCLUDED] = {"Including tax", "Waarvan btw"},
    [RECEIPT_PAID] = {"Paid", "Betaald"},
    [RECEIPT_REFUNDED] = {"Refunded", "Terugbetaald"},
    [RECEIPT_REFUNDED_IN_ALL] = {"Refunded in all", "In totaal terug"},
    [RECEIPT_REFUNDED_OF] = {"{{refunded}}\xc2\xa0of\xc2\xa0{{paid}}", "{{refunded}}\xc2\xa0van\xc2\xa0{{paid}}"},
    [RECEIPT_TAKEN_BACK] = {"Credits taken back", "Credits teruggenomen"},
    [RECEIPT_LOST] = {"Used, not taken back", "Al gebruikt, niet teruggenomen"},
    [RECEIPT_DATE] = {"Date", "Datum"},
    [RECEIPT_ORDER] = {"Order", "Bestelling"},
    [RECEIPT_TRANSACTION] = {"Transaction", "Transactie"},
    [RECEIPT_FOOT_ORDERS] = {"All your orders and credits", "Al je bestellingen en credits"},
    [RECEIPT_FOOT_WHY] = {"You get this because you switched receipts on. Switch them off",
	"Je krijgt dit omdat je bonnen hebt aangezet. Weer uitzetten"},
    [RECEIPT_FOOT_HELP] = {"Questions", "Vragen"},
};

const char receipt_text[] = "ShotAI\n"
			    "\n"
			    "{{title}}\n"
			    "{{lead}}\n"
			    "\n"
			    "{{{lines}}}"
			    "\n"
			    "{{{facts}}}"
			    "\n"
			    "{{orders}}: {{url}}/billing\n"
			    "{{help}}: {{support}}\n"
			    "\n"
			    "{{why}}: {{url}}/billing\n";

const char receipt_text_line[] = "{{label}}: {{value}}\n";

#define MONO "ui-monospace,'SF Mono','Cascadia Mono',Menlo,Consolas,'DejaVu Sans Mono',monospace"
#define SANS "ui-sans-serif,system-ui,-apple-system,'Segoe UI',Roboto,'Helvetica Neue',Arial,sans-serif"
#define TABLE "<table role=\"presentation\" width=\"100%\" cellpadding=\"0\" cellspacing=\"0\" border=\"0\""
#define HOLE "<td align=\"center\"><div class=\"hole\"></div></td>\n"
#define HOLES4 HOLE HOLE HOLE HOLE
#define HOLES                                                                                                          \
	"<tr><td class=\"film\" bgcolor=\"#1b1a17\" style=\"padding:6px 8px;background:#1b1a17\">\n" TABLE             \
	" aria-hidden=\"true\"><tr>\n" HOLES4 HOLES4 HOLES4 HOLES4 "</tr></table>\n</td></tr>\n"
#define EDGE(align, weight, size)                                                                                      \
	"<td class=\"edge\"" align " style=\"font:" weight " " size " " MONO ";letter-spacing:.06em;color:#e9dfc6\">"

/* A mail program that drops the styles still shows the tables in these colours, which go together in light and dark. */
const char receipt_html_head[] =
    "<!doctype html>\n"
    "<html lang=\"{{language}}\">\n"
    "<head>\n"
    "<meta charset=\"utf-8\">\n"
    "<meta name=\"viewport\" content=\"width=device-width\">\n"
    "<meta name=\"color-scheme\" content=\"light dark\">\n"
    "<meta name=\"supported-color-schemes\" content=\"light dark\">\n"
    "<meta name=\"format-detection\" content=\"telephone=no,date=no,address=no,email=no\">\n"
    "<title>{{subject}}</title>\n"
    "<style>\n"
    ":root { color-scheme: light dark; }\n"
    ".hole { width: 11px; height: 8px; border-radius: 2px; background: #f6f4ef; font-size: 0; line-height: 0; }\n"
    "@media (prefers-color-scheme: dark) {\n"
    " .paper { background: #131110 !important; }\n"
    " .panel { background: #1c1917 !important; }\n"
    " .film { background: #070606 !important; }\n"
    " .hole { background: #2b2521 !important; }\n"
    " .edge { color: #e0b98a !important; }\n"
    " .ink { color: #f3ede4 !important; }\n"
    " .soft { color: #b3aa9d !important; }\n"
    " .line { border-color: #332d29 !important; }\n"
    " .sum { border-color: #f3ede4 !important; }\n"
    "}\n"
    "</style>\n"
    "</head>\n";

const char receipt_html_top[] =
    "<body class=\"paper\" style=\"margin:0;padding:0;background:#f6f4ef;-webkit-text-size-adjust:100%\">\n" TABLE
    " class=\"paper\" bgcolor=\"#f6f4ef\" style=\"background:#f6f4ef\">\n"
    "<tr><td align=\"center\" style=\"padding:24px 12px\">\n" TABLE " style=\"max-width:440px\">\n" HOLES
    "<tr><td class=\"film\" bgcolor=\"#1b1a17\" style=\"padding:2px 20px 10px;background:#1b1a17\">\n" TABLE
    "><tr>\n" EDGE("", "700", "13px/18px") "SHOTAI</td>\n" EDGE(" align=\"right\"", "500",
	"13px/18px") "{{date}}</td>\n"
		     "</tr></table>\n</td></tr>\n"
		     "<tr><td class=\"panel\" bgcolor=\"#fffdf8\" style=\"padding:28px 20px 8px;background:#fffdf8\">\n"
		     "<h1 class=\"ink\" style=\"margin:0 0 8px;font:650 26px/30px " SANS
		     ";letter-spacing:-.02em;color:#1b1a17\">{{title}}</h1>\n"
		     "<p class=\"soft\" style=\"margin:0 0 20px;font:400 16px/24px " SANS
		     ";color:#5d594f\">{{lead}}</p>\n" TABLE ">\n";

const char receipt_html_middle[] =
    "</table>\n</td></tr>\n"
    "<tr><td class=\"panel\" bgcolor=\"#fffdf8\" style=\"padding:8px 20px 24px;background:#fffdf8\">\n" TABLE ">\n";

const char receipt_html_foot[] =
    "</table>\n</td></tr>\n" HOLES "<tr><td class=\"soft\" style=\"padding:20px;font:400 14px/22px " SANS
    ";color:#5d594f\">\n"
    "<a class=\"ink\" href=\"{{url}}/billing\" style=\"color:#1b1a17\">{{orders}}</a><br>\n"
    "{{help}}: <a class=\"ink\" href=\"mailto:{{support}}\" "
    "style=\"color:#1b1a17\">{{support}}</a><br><br>\n"
    "{{why}}: <a class=\"ink\" href=\"{{url}}/billing\" style=\"color:#1b1a17\">{{url}}/billing</a>\n"
    "</td></tr>\n"
    "</table>\n</td></tr>\n</table>\n</body>\n</html>\n";

#define PAIR(class, label, value)                                                                                      \
	"<tr><td class=\"" class "\" valign=\"top\" style=\"" label                                                    \
				 "\">{{label}}</td>\n<td class=\"" class "\" align=\"right\" valign=\"top\" "          \
									 "style=\"" value "\">{{value}}</td></tr>\n"

const char receipt_html_line[] =
    PAIR("ink line", "padding:9px 12px 9px 0;border-top:1px solid #ddd8cb;font:400 15px/22px " SANS ";color:#1b1a17",
	"padding:9px 0;border-top:1px solid #ddd8cb;font:500 15px/22px " MONO ";color:#1b1a17");

const char receipt_html_words[] =
    PAIR("ink line", "padding:9px 12px 9px 0;border-top:1px solid #ddd8cb;font:400 15px/22px " SANS ";color:#1b1a17",
	"padding:9px 0;border-top:1px solid #ddd8cb;font:400 15px/22px " SANS ";color:#1b1a17");

const char receipt_html_total[] =
    PAIR("ink sum", "padding:12px 12px 12px 0;border-top:2px solid #1b1a17;font:650 18px/26px " SANS ";color:#1b1a17",
	"padding:12px 0;border-top:2px solid #1b1a17;font:700 18px/26px " MONO ";color:#1b1a17");

const char receipt_html_fact[] = PAIR("soft", "padding:2px 12px 2px 0;font:400 13px/20px " SANS ";color:#5d594f",
    "padding:2px 0;font:500 13px/20px " MONO ";color:#5d594f;word-break:break-all");
