/* Key sets: whatever is taken is a public key in PEM that OpenSSL reads again. */
#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/body.h"
#include "service/auth_keys.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check(const struct auth_key *key)
{
	if (key == NULL || key->len == 0 || strlen(key->material) != key->len || key->kid[0] == '\0')
		abort();
	BIO *bio = BIO_new_mem_buf(key->material, (int)key->len);
	EVP_PKEY *pkey = PEM_read_bio_PUBKEY(bio, NULL, NULL, NULL);
	if (pkey == NULL || EVP_PKEY_is_a(pkey, key->algorithm == AUTH_ES256 ? "EC" : "RSA") != 1 ||
	    EVP_PKEY_get_bits(pkey) < (key->algorithm == AUTH_ES256 ? 256 : 2048))
		abort();
	EVP_PKEY_free(pkey);
	BIO_free(bio);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *json = (const char *)data;
	struct auth_keys *keys = auth_keys_parse(json, size);
	if (keys == NULL)
		return 0;
	/* Every key that is there is one of the text's, found by its kid. */
	AUTO_BODY_TREE tree = body_tree_parse(json, size);
	const struct body_value *list = body_member(body_root(tree), "keys");
	size_t found = 0;
	for (size_t i = 0; i < body_count(list); i++) {
		const char *kid = body_string(body_member(body_element(list, i), "kid"));
		const struct auth_key *key = kid == NULL ? NULL : auth_keys_by_kid(keys, kid);
		if (key != NULL)
			check(key);
		found += key != NULL;
	}
	if (found < auth_keys_count(keys))
		abort();
	auth_keys_free(keys);
	return 0;
}
