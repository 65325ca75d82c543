/*
 * The OpenAI images API (generations and edits), and whoever speaks it:
 * stable-diffusion.cpp, LocalAI, Azure, ...
 *
 * A model row's options say how a server differs from OpenAI:
 *   "sizes": {"1:1": "512x512"}     instead of the default size of a ratio
 *   "quality": "low"                sent as it is; absent: not sent
 *   "output_format": "png"          sent as it is; absent: not sent
 *   "edit_mode": "multipart"        image[] files on /images/edits (default)
 *                "json_file"        one base64 `file` on /images/generations
 *                "none"             takes no reference
 *   "send_response_format": true    ask for b64_json (OpenAI refuses the member)
 *   "send_seed": true               send the seed (OpenAI has none)
 *   "one_per_call": true            n is always 1
 *   "image_hosts": ["cdn.example"]  hosts besides the API's own that pictures may be fetched from
 *
 * Which answer means what is in openai_answer.c. A picture that the answer
 * names by URL is fetched without the key: https (plain http only from a
 * loopback API itself), listed hosts, no private address, no redirect.
 */
#ifndef SHOTAI_OPENAI_H
#define SHOTAI_OPENAI_H

#include "provider/provider.h"

void openai_generate(const struct config *config, struct http *http, struct arena *arena,
    const struct provider_request *request, struct provider_answer *ret_answer);
int openai_pictures_per_call(const char *options);

#endif
