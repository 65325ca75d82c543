#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/digest.h"
#include "service/sigv4.h"

#define LEN(array) (sizeof(array) / sizeof *(array))
#define PAIRS 6

static struct arena *arena;

static int
setup(void **state)
{
	(void)state;
	arena = arena_new();
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	arena_free(arena);
	return 0;
}

static size_t
count(const struct sigv4_pair pairs[PAIRS])
{
	size_t n = 0;
	while (n < PAIRS && pairs[n].name != NULL)
		n++;
	return n;
}

static const char *
hash_of(const char *body)
{
	uint8_t digest[DIGEST_SHA256];
	char *hex = arena_alloc(arena, DIGEST_HEX);
	digest_sha256(body, strlen(body), digest);
	digest_hex(digest, sizeof digest, hex);
	return hex;
}

/*
 * From AWS's published signing test suite (github.com/awslabs/aws-c-auth,
 * tests/aws-signing-test-suite/v4, Apache License 2.0): the 32 cases whose path
 * is signed as it is, with the signature in the header and in the query. Its
 * canonical requests take the lines of a folded header for values of their own.
 */
struct aws_case {
	const char *name, *method, *path;
	struct sigv4_pair query[PAIRS], headers[PAIRS];
	const char *body, *in_header, *in_query;
};

#define HOST                                                                                                           \
	{                                                                                                              \
		"Host", "example.amazonaws.com"                                                                        \
	}
#define ALPHABET "-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
#define TOKEN "6e86291e8372ff2a2260956d9b8aae1d763fbf315fa00fa31553b73ebf194267"
#define STS_TOKEN                                                                                                      \
	"AQoDYXdzEPT//////////wEXAMPLEtc764bNrC9SAPBSM22wDOk4x4HIZ8j4FZTwdQWLWsKWHGBuFqwAeMicRXmxfpSPfIeoIYRqTflfKD8Y" \
	"UuwthAx7mSEI/qkPpKPi/kMcGdQrmGdeehM4IC1NtBmUpp2wUE8phUZampKsburEDy0KPkyQDYwT7WZ0wq5VSXDvp75YU9HFvlRd8Tx6q6fE" \
	"8YQcHNVXAkiY9q6d+xo0rKwT38xVqr7ZD0u0iPPkUL64lIZbqBAz+scqKmlzm8FDrypNC9Yjc8fPOLn9FX9KSYvKTr4rvx3iSIlTJabIQwj2" \
	"ICCR/oLxBA=="

/* clang-format off */
static const struct aws_case aws_cases[] = {
    {"get-header-key-duplicate", "GET", "/", {{0}},
	{HOST, {"My-Header1", "value2"}, {"My-Header1", "value2"}, {"My-Header1", "value1"}}, "",
	"c9d5ea9f3f72853aea855b47ea873832890dbdd183b4468f858259531a5138ea",
	"3349ee0b81b4b589da0ff28a395c3591e04de515651dd74f298fa992d1507a97"},
    {"get-header-value-multiline", "GET", "/", {{0}}, 
	{HOST, {"My-Header1", "value1"}, {"My-Header1", "  value2"}, {"My-Header1", "     value3"}}, "",
	"ba17b383a53190154eb5fa66a1b836cc297cc0a3d70a5d00705980573d8ff790",
	"07f38a7bae261a5b2eec137361e6403c191bbf8e3f75466bb8114a08acd99936"},
    {"get-header-value-order", "GET", "/", {{0}},
	{HOST, {"My-Header1", "value4"}, {"My-Header1", "value1"}, {"My-Header1", "value3"}, {"My-Header1", "value2"}}, "",
	"08c7e5a9acfcfeb3ab6b2185e75ce8b1deb5e634ec47601a50643f830c755c01",
	"313720e71ca6202fdcfa9b20f88de01a4eb0638a83c833b1c184359a4eda864e"},
    {"get-header-value-trim", "GET", "/", {{0}}, {HOST, {"My-Header1", " value1"}, {"My-Header2", " \"a   b   c\""}}, "",
	"acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736",
	"e7bb0fd515e125e1aec2ecc4c0c17484fb06f6846b927c35e46005dd3df3acd4"},
    {"get-relative-unnormalized", "GET", "/example/..", {{0}}, {HOST}, "",
	"eca7ead57bb5aa5c8e28007acd4ff04e1ff9a0ff3b237ec1554a184887ff9282",
	"cbcb213b928a077e43275df47b500f1dfaa864ab3f5a18f6b95f4ff0938167ee"},
    {"get-relative-relative-unnormalized", "GET", "/example1/example2/../..", {{0}}, {HOST}, "",
	"dc33e0856fd4baca4d7aa2146c38958283844764f38c74252a333df5e613003b",
	"b45db0bfd1cf15003493b733e33aa208dd981bd0e63037a6ed953f71d2118a16"},
    {"get-slash-dot-slash-unnormalized", "GET", "/./", {{0}}, {HOST}, "",
	"68714168e6557f8f2de0ef956fc24dc2593a4bd2961f8df51898d8a134695145",
	"a9b13e8f3484d9505bf1a6f347219f8f35b0fe8f128ceea597efc146a3dfe90c"},
    {"get-slash-pointless-dot-unnormalized", "GET", "/./example", {{0}}, {HOST}, "",
	"beb03f223f7deae4146464f06e29eebbee9c8afbe15c290cf07aa8b119e14cff",
	"72b11f16d9530b18204bfb71f2d6ab085894c0ed8d352730a6e76234c58b5e10"},
    {"get-slash-unnormalized", "GET", "//", {{0}}, {HOST}, "",
	"c88bcd3d312d75078c0cd961d6deae3f4c754924b01669efcfcb439fd5e5b76e",
	"b2a9542809db687769200f56a844a03f2bd0291d6eb90232d5101c6a579446cd"},
    {"get-slashes-unnormalized", "GET", "//example//", {{0}}, {HOST}, "",
	"87cca117541a147f6df867677d98a7d80dff226d2bfca9e4ffa899665623c7e5",
	"822a5a9ba28072c5ab2bb4a6307d0c88276d40e49fec6b724c03fb4d4ba60fc2"},
    {"get-space-normalized", "GET", "/example space/", {{0}}, {HOST}, "",
	"652487583200325589f1fba4c7e578f72c47cb61beeca81406b39ddec1366741",
	"7a1f416954786484c9824d93c1f26ef64acb9b1b6c9154d08c9f07d0e394abf6"},
    {"get-space-unnormalized", "GET", "/example space/", {{0}}, {HOST}, "",
	"652487583200325589f1fba4c7e578f72c47cb61beeca81406b39ddec1366741",
	"7a1f416954786484c9824d93c1f26ef64acb9b1b6c9154d08c9f07d0e394abf6"},
    {"get-unreserved", "GET", "/" ALPHABET, {{0}}, {HOST}, "",
	"07ef7494c76fa4850883e2b006601f940f8a34d404d0cfa977f52a65bbf5f24f",
	"95968482db1b9e0fadef6efc1bd24689f77c77d9ef56919c96a28cc92e0d6005"},
    {"get-utf8", "GET", "/\341\210\264", {{0}}, {HOST}, "",
	"8318018e0b0f223aa2bbf98705b62bb787dc9c0e678f255a891fd03141be5d85",
	"10eae3f14a260bd3911cc6d008d3c576d143b05b62f09782a7a4b37f52178e44"},
    {"get-vanilla", "GET", "/", {{0}}, {HOST}, "",
	"5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31",
	"e93c787ed7f371d5c6b165c1b38ede9550f4dce4144713e844b25b7192d3865d"},
    {"get-vanilla-empty-query-key", "GET", "/", {{"Param1", "value1"}}, {HOST}, "",
	"a67d582fa61cc504c4bae71f336f98b97f1ea3c7a6bfe1b6e45aec72011b9aeb",
	"49096700cbbaa5753443850f40df10f904fc2fdb544dc9512203cc77c471a9de"},
    {"get-vanilla-query", "GET", "/", {{0}}, {HOST}, "",
	"5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31",
	"e93c787ed7f371d5c6b165c1b38ede9550f4dce4144713e844b25b7192d3865d"},
    {"get-vanilla-query-order-encoded", "GET", "/", {{"Param-3", "Value3"}, {"Param", "Value2"}, {"\341\210\264", "Value1"}},
	{HOST}, "",
	"371d3713e185cc334048618a97f809c9ffe339c62934c032af5a0e595648fcac",
	"c5f1848ceec943ac2ca68ee720460c23aaae30a2300586597ada94c4a65e4787"},
    {"get-vanilla-query-order-key-case", "GET", "/", {{"Param2", "value2"}, {"Param1", "value1"}}, {HOST}, "",
	"b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500",
	"86012e2c9ad4d77369f5d81c11f75158aae4f895a085212cc6d3f923d300bed5"},
    {"get-vanilla-query-unreserved", "GET", "/", {{ALPHABET, ALPHABET}}, {HOST}, "",
	"9c3e54bfcdf0b19771a7f523ee5669cdf59bc7cc0884027167c21bb143a40197",
	"8e76a88a7433637b12778d5592799b29ad21ecd6cf6325051c21d86f0acda2bf"},
    {"get-vanilla-utf8-query", "GET", "/", {{"\341\210\264", "bar"}}, {HOST}, "",
	"2cdec8eed098649ff3a119c94853b13c643bcf08f8b0a1d91e12c9027818dd04",
	"0bdd809b1519ac4f0c1dc3540e2cc46bd0c7f778eda408b2ebf3b913d21ff600"},
    {"get-vanilla-with-session-token", "GET", "/", {{0}}, {HOST, {"X-Amz-Security-Token", TOKEN}}, "",
	"07ec1639c89043aa0e3e2de82b96708f198cceab042d4a97044c66dd9f74e7f8",
	"7ff2b50b376cb4d151970630573d6291dc128cc5c2a12ffb237f73cc53f67b6c"},
    {"post-header-key-case", "POST", "/", {{0}}, {HOST}, "",
	"5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b",
	"2ce6e6d2e0cf2f9d1b55fafec88cd20574c31dc2e7631979f71ba2310083e95b"},
    {"post-header-key-sort", "POST", "/", {{0}}, {HOST, {"My-Header1", "value1"}}, "",
	"c5410059b04c1ee005303aed430f6e6645f61f4dc9e1461ec8f8916fdf18852c",
	"c09d07e0d55871f10f2a6d350d994acf6825a3cae70673d7def55616e6119dd7"},
    {"post-header-value-case", "POST", "/", {{0}}, {HOST, {"My-Header1", "VALUE1"}}, "",
	"cdbc9802e29d2942e5e10b5bccfdd67c5f22c7c4e8ae67b53629efa58b974b7d",
	"0698bc9e4f7f9139065ba2909c0e99da257e8e2a42492a097bcd46d792391fed"},
    {"post-sts-header-after", "POST", "/", {{0}}, {HOST}, "",
	"5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b",
	"2ce6e6d2e0cf2f9d1b55fafec88cd20574c31dc2e7631979f71ba2310083e95b"},
    {"post-sts-header-before", "POST", "/", {{0}}, {HOST, {"X-Amz-Security-Token", STS_TOKEN}}, "",
	"85d96828115b5dc0cfc3bd16ad9e210dd772bbebba041836c64533a82be05ead",
	"aca67b49ed321f377645504bccbd5a65f9085c536ff1961bc49c835d30827b16"},
    {"post-vanilla", "POST", "/", {{0}}, {HOST}, "",
	"5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b",
	"2ce6e6d2e0cf2f9d1b55fafec88cd20574c31dc2e7631979f71ba2310083e95b"},
    {"post-vanilla-empty-query-value", "POST", "/", {{"Param1", "value1"}}, {HOST}, "",
	"28038455d6de14eafc1f9222cf5aa6f1a96197d7deb8263271d420d138af7f11",
	"a9ef26247f293bffe40eeff86a0480ba8c14d31503b2e0c3399e3a16bf1a3682"},
    {"post-vanilla-query", "POST", "/", {{"Param1", "value1"}}, {HOST}, "",
	"28038455d6de14eafc1f9222cf5aa6f1a96197d7deb8263271d420d138af7f11",
	"a9ef26247f293bffe40eeff86a0480ba8c14d31503b2e0c3399e3a16bf1a3682"},
    {"post-x-www-form-urlencoded", "POST", "/", {{0}},
	{{"Content-Type", "application/x-www-form-urlencoded"}, HOST, {"Content-Length", "13"},
	    {"x-amz-content-sha256", "9095672bbd1f56dfc5b65f3e153adc8731a4a654192329106275f4c7b24d0b6e"}}, "Param1=value1",
	"d3875051da38690788ef43de4db0d8f280229d82040bfac253562e56c3f20e0b",
	"c2348f57d08c84939944d6c878b3f7be56316f8e7fd6817e81eded279a362d69"},
    {"post-x-www-form-urlencoded-parameters", "POST", "/", {{0}},
	{{"Content-Type", "application/x-www-form-urlencoded; charset=utf-8"}, HOST, {"Content-Length", "13"},
	    {"x-amz-content-sha256", "9095672bbd1f56dfc5b65f3e153adc8731a4a654192329106275f4c7b24d0b6e"}}, "Param1=value1",
	"328d1b9eaadca9f5818ef05e8392801e091653bafec24fcab71e7344e7f51422",
	"1b8d9ac4ab8553a224622753bae7714608a7c61f8994dbd385150e6da12114df"},
};
/* clang-format on */

static const struct sigv4_key aws_key = {
    "AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", "us-east-1", "service"};
#define AWS_DATE "20150830T123600Z"

static void
aws_suite_in_the_header(void **state)
{
	(void)state;
	assert_int_equal(LEN(aws_cases), 32);
	for (size_t i = 0; i < LEN(aws_cases); i++) {
		const struct aws_case *it = &aws_cases[i];
		struct sigv4_pair headers[PAIRS + 1];
		size_t n = count(it->headers);
		memcpy(headers, it->headers, sizeof it->headers);
		headers[n++] = (struct sigv4_pair){"X-Amz-Date", AWS_DATE};
		const struct sigv4_request request = {.method = it->method,
		    .path = it->path,
		    .query = it->query,
		    .query_count = count(it->query),
		    .headers = headers,
		    .header_count = n,
		    .payload_hash = hash_of(it->body)};
		struct sigv4_signed made;
		sigv4_sign(arena, &aws_key, &request, AWS_DATE, &made);
		if (strcmp(made.signature, it->in_header) != 0)
			fail_msg("%s: %s", it->name, made.signature);
	}
}

static void
aws_suite_in_the_query(void **state)
{
	(void)state;
	for (size_t i = 0; i < LEN(aws_cases); i++) {
		const struct aws_case *it = &aws_cases[i];
		struct sigv4_pair query[PAIRS + 1];
		struct sigv4_request request = {.method = it->method,
		    .path = it->path,
		    .query = query,
		    .query_count = count(it->query),
		    .headers = it->headers,
		    .header_count = count(it->headers),
		    .payload_hash = hash_of(it->body)};
		memcpy(query, it->query, sizeof it->query);
		if (strcmp(it->name, "get-vanilla-with-session-token") == 0) {
			query[request.query_count++] = it->headers[1];
			request.header_count = 1;
		}
		const char *url = sigv4_presign(arena, &aws_key, &request, AWS_DATE, 3600);
		const char *signature = strstr(url, "&X-Amz-Signature=");
		assert_non_null(signature);
		if (strcmp(signature + 17, it->in_query) != 0)
			fail_msg("%s: %s", it->name, url);
	}
}

struct sdk_case {
	const char *method, *path;
	struct sigv4_pair query[PAIRS], headers[PAIRS];
	const char *body;
	int64_t seconds;
	const char *signature;
};

static const struct sdk_case sdk_cases[] = {
#include "sigv4_sdk.h"
};

static const struct sigv4_key sdk_key = {"0123456789abcdef0123456789abcdef",
    "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff", "auto", "s3"};
#define SDK_DATE "20261124T220000Z"
#define SDK_HOST "0a1b2c3d4e5f60718293a4b5c6d7e8f9.r2.cloudflarestorage.com"

static const char *
sign_sdk(const struct sdk_case *it)
{
	struct sigv4_pair headers[PAIRS + 3] = {{"host", SDK_HOST}};
	struct sigv4_request request = {.method = it->method,
	    .path = it->path,
	    .query = it->query,
	    .query_count = count(it->query),
	    .headers = headers,
	    .header_count = 1,
	    .payload_hash = it->seconds > 0 ? SIGV4_UNSIGNED : hash_of(it->body)};
	const char *target = NULL;
	if (it->seconds > 0)
		return sigv4_presign(arena, &sdk_key, &request, SDK_DATE, it->seconds);
	headers[request.header_count++] = (struct sigv4_pair){"x-amz-date", SDK_DATE};
	headers[request.header_count++] = (struct sigv4_pair){"x-amz-content-sha256", request.payload_hash};
	for (size_t i = 0; i < count(it->headers); i++)
		headers[request.header_count++] = it->headers[i];
	return sigv4_authorization(arena, &sdk_key, &request, SDK_DATE, &target);
}

static void
the_sdks_sign_the_same(void **state)
{
	(void)state;
	assert_int_equal(LEN(sdk_cases), 46);
	for (size_t i = 0; i < LEN(sdk_cases); i++) {
		const char *made = sign_sdk(&sdk_cases[i]);
		if (strlen(made) < 64 || strcmp(made + strlen(made) - 64, sdk_cases[i].signature) != 0)
			fail_msg("%s %s: %s", sdk_cases[i].method, sdk_cases[i].path, made);
	}
}

static void
what_goes_out_is_encoded_once(void **state)
{
	static const struct sigv4_pair query[] = {{"delete", ""}, {"a/b", "c d&e=f+\303\251~"}, {"A", "%41"}},
				       headers[] = {{"Host", "h"}};
	const struct sigv4_request request = {.method = "GET",
	    .path = "/b/a b//%41/../\303\251?#+",
	    .query = query,
	    .query_count = LEN(query),
	    .headers = headers,
	    .header_count = 1,
	    .payload_hash = SIGV4_UNSIGNED};
	const char *target = NULL;
	(void)state;
	const char *header = sigv4_authorization(arena, &aws_key, &request, AWS_DATE, &target);
	assert_string_equal(target, "/b/a%20b//%2541/../%C3%A9%3F%23%2B?A=%2541&a%2Fb=c%20d%26e%3Df%2B%C3%A9~&delete=");
	assert_ptr_equal(
	    strstr(header, "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, "
			   "SignedHeaders=host, Signature="),
	    header);
	assert_null(strstr(header, aws_key.secret));
}

static void
dates_are_those_of_the_clock(void **state)
{
	char date[SIGV4_DATE];
	(void)state;
	sigv4_date(0, date);
	assert_string_equal(date, "19700101T000000Z");
	sigv4_date(1795557600, date);
	assert_string_equal(date, "20261124T220000Z");
}

int
main(void)
{
#define T(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
	const struct CMUnitTest tests[] = {
	    T(aws_suite_in_the_header),
	    T(aws_suite_in_the_query),
	    T(the_sdks_sign_the_same),
	    T(what_goes_out_is_encoded_once),
	    T(dates_are_those_of_the_clock),
	};
	return cmocka_run_group_tests_name("sigv4", tests, NULL, NULL);
}
