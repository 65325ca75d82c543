#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/digest.h"

#define LEN(array) (sizeof(array) / sizeof *(array))

/* FIPS 180-2 appendix B and RFC 1321 appendix A.5. */
static void
hashes(void **state)
{
	static const struct {
		const char *text, *sha256, *md5;
	} rows[] = {
	    {"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
		"d41d8cd98f00b204e9800998ecf8427e"},
	    {"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
		"900150983cd24fb0d6963f7d28e17f72"},
	    {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
		"248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1", "8215ef0796a20bcaaae116d3876c664a"},
	};
	uint8_t digest[DIGEST_SHA256];
	char hex[DIGEST_HEX];

	(void)state;
	for (size_t i = 0; i < LEN(rows); i++) {
		digest_sha256(rows[i].text, strlen(rows[i].text), digest);
		digest_hex(digest, sizeof digest, hex);
		assert_string_equal(hex, rows[i].sha256);
		digest_md5(rows[i].text, strlen(rows[i].text), digest);
		digest_hex(digest, 16, hex);
		assert_string_equal(hex, rows[i].md5);
	}
}

/* RFC 4231, cases 1, 2, 3, 6. */
static void
macs(void **state)
{
	static const char long_text[] = "Test Using Larger Than Block-Size Key - Hash Key First";
	uint8_t twenty[20], many[131], fifty[50], mac[DIGEST_SHA256];
	char hex[DIGEST_HEX];

	memset(twenty, 0x0b, sizeof twenty);
	memset(many, 0xaa, sizeof many);
	memset(fifty, 0xdd, sizeof fifty);
	const struct {
		const void *key;
		size_t key_len;
		const void *bytes;
		size_t len;
		const char *mac;
	} rows[] = {
	    {twenty, 20, "Hi There", 8, "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"},
	    {"Jefe", 4, "what do ya want for nothing?", 28,
		"5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"},
	    {many, 20, fifty, 50, "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe"},
	    {many, 131, long_text, sizeof long_text - 1,
		"60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"},
	    {NULL, 0, "", 0, "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad"},
	};

	(void)state;
	for (size_t i = 0; i < LEN(rows); i++) {
		digest_hmac(rows[i].key, rows[i].key_len, rows[i].bytes, rows[i].len, mac);
		digest_hex(mac, sizeof mac, hex);
		assert_string_equal(hex, rows[i].mac);
	}
	digest_derive_key("Jefe", "what do ya want for nothing?", mac);
	digest_hex(mac, sizeof mac, hex);
	assert_string_equal(hex, rows[1].mac);
}

static void
hex_digits(void **state)
{
	static const struct {
		const char *hex;
		bool valid;
	} rows[] = {
	    {"00ff10", true},
	    {"00FF10", true},
	    {"00ff1", false},
	    {"00ff100", false},
	    {"00fg10", false},
	    {"0x0010", false},
	    {" 0ff10", false},
	    {"", false},
	};
	uint8_t bytes[3];

	(void)state;
	for (size_t i = 0; i < LEN(rows); i++) {
		memset(bytes, 0x55, sizeof bytes);
		assert_int_equal(digest_unhex(rows[i].hex, 3, bytes), rows[i].valid);
		assert_memory_equal(bytes, rows[i].valid ? "\x00\xff\x10" : "\x55\x55\x55", 3);
	}
}

/* RFC 4648 section 10, and bytes where the alphabets differ. */
static void
base64(void **state)
{
	static const struct {
		const char *bytes, *standard, *url;
	} rows[] = {
	    {"", "", ""},
	    {"f", "Zg==", "Zg"},
	    {"fo", "Zm8=", "Zm8"},
	    {"foo", "Zm9v", "Zm9v"},
	    {"foob", "Zm9vYg==", "Zm9vYg"},
	    {"fooba", "Zm9vYmE=", "Zm9vYmE"},
	    {"foobar", "Zm9vYmFy", "Zm9vYmFy"},
	    {"\xfb\xff\xfe", "+//+", "-__-"},
	};
	AUTO_ARENA arena = arena_new();

	(void)state;
	for (size_t i = 0; i < LEN(rows); i++) {
		size_t len = strlen(rows[i].bytes), decoded_len = 99;
		uint8_t *decoded = NULL;

		assert_string_equal(digest_base64(arena, rows[i].bytes, len), rows[i].standard);
		assert_string_equal(digest_base64url(arena, rows[i].bytes, len), rows[i].url);
		assert_true(
		    digest_base64_decode(arena, rows[i].standard, strlen(rows[i].standard), &decoded, &decoded_len));
		assert_int_equal(decoded_len, len);
		assert_memory_equal(decoded, rows[i].bytes, len);
		assert_true(digest_base64url_decode(arena, rows[i].url, strlen(rows[i].url), &decoded, &decoded_len));
		assert_int_equal(decoded_len, len);
		assert_memory_equal(decoded, rows[i].bytes, len);
	}
}

static void
base64_is_strict(void **state)
{
	static const char *const standard[] = {"Zg", "Zg=", "Zg===", "Z===", "====", "=",
	    "Zm9v=", "Zm9v====", "Zh==", "Zm9=", "Zm 9v", "Zm9v\n", "-__-", "Zg==Zg==", "Z=g=", "Zm\xc3\xa9v"};
	static const char *const url[] = {"Z", "Zg==", "Zh", "Zm9", "+//+", "Zm9v=", "Zm9v ", "Zm9vY"};
	AUTO_ARENA arena = arena_new();
	uint8_t *bytes = NULL;
	size_t len = 7;

	(void)state;
	for (size_t i = 0; i < LEN(standard); i++)
		assert_false(digest_base64_decode(arena, standard[i], strlen(standard[i]), &bytes, &len));
	for (size_t i = 0; i < LEN(url); i++)
		assert_false(digest_base64url_decode(arena, url[i], strlen(url[i]), &bytes, &len));
	assert_false(digest_base64url_decode(arena, "Zg\0g", 4, &bytes, &len));
	assert_null(bytes);
	assert_int_equal(len, 7);
}

static void
randomness(void **state)
{
	uint8_t a[32], b[32];
	char one[37], two[37];

	(void)state;
	digest_random(a, sizeof a);
	digest_random(b, sizeof b);
	assert_false(digest_equal(a, b, sizeof a));
	assert_true(digest_equal(a, a, sizeof a));
	for (int i = 0; i < 100; i++) {
		digest_uuid(one);
		digest_uuid(two);
		assert_string_not_equal(one, two);
		assert_int_equal(strlen(one), 36);
		assert_int_equal(strspn(one, "0123456789abcdef-"), 36);
		assert_int_equal(one[14], '4');
		assert_non_null(strchr("89ab", one[19]));
		for (int j = 0; j < 36; j++)
			assert_int_equal(one[j] == '-', j == 8 || j == 13 || j == 18 || j == 23);
	}
	digest_cleanse(a, sizeof a);
	memset(b, 0, sizeof b);
	assert_memory_equal(a, b, sizeof a);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(hashes),
	    cmocka_unit_test(macs),
	    cmocka_unit_test(hex_digits),
	    cmocka_unit_test(base64),
	    cmocka_unit_test(base64_is_strict),
	    cmocka_unit_test(randomness),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
