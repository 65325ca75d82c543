#include "plan.h"

#include <ctype.h>
#include <string.h>

#include "base/digest.h"

enum palette_name { DAWN, DAY, SUNSET, DUSK, NIGHT, AURORA, DESERT, RED, GREEN, MIST, PINK, GOLD, PALETTE__COUNT };

/* zenith, middle, horizon, sun, far, near */
static const uint32_t palettes[PALETTE__COUNT][6] = {
    [DAWN] = {0x4f639c, 0xe3a29a, 0xffdfc6, 0xfff3df, 0xb890a6, 0x2a2646},
    [DAY] = {0x2473b8, 0x7fbde6, 0xe6f3f2, 0xfffbe8, 0x8db2ca, 0x173f3c},
    [SUNSET] = {0x2b2d5c, 0xd4525a, 0xffc26a, 0xfff0c4, 0xa64d69, 0x1a142c},
    [DUSK] = {0x17194a, 0x6a489b, 0xf496ac, 0xffe6d6, 0x6e4b92, 0x120d28},
    [NIGHT] = {0x050919, 0x10224b, 0x41678f, 0xf6f2de, 0x2b4671, 0x03060d},
    [AURORA] = {0x05162a, 0x0e4a5b, 0x86dcb8, 0xf2fff2, 0x2b7b79, 0x031218},
    [DESERT] = {0x4f97b4, 0xf0cd98, 0xffe8bf, 0xfffaf0, 0xdb9d68, 0x5e2618},
    [RED] = {0x2f0a1b, 0xb01d2a, 0xff8b58, 0xffe3c0, 0x8d1c3a, 0x14050d},
    [GREEN] = {0x6cae9d, 0xc8e0be, 0xf6f4d6, 0xfffdf0, 0x86ae93, 0x0e2a1b},
    [MIST] = {0x7f97b0, 0xc2cfd9, 0xf4f3ee, 0xffffff, 0xa5b5c3, 0x26353f},
    [PINK] = {0x8fb4dc, 0xf2bfcf, 0xfff0ea, 0xfffaf5, 0xd69dba, 0x4c2346},
    [GOLD] = {0x8a5a2b, 0xe9a93c, 0xffe7a3, 0xfff8dc, 0xc07f35, 0x2b1608},
};

/* What a word says; -1: nothing about that. */
struct word {
	const char *word;
	int palette, land;
	int water, clouds, extra;
};
enum extra { EXTRA_NONE, EXTRA_BIRDS, EXTRA_BOAT, EXTRA_SNOW, EXTRA_PLANET };

static const struct word words[] = {
    {"night", NIGHT, -1, -1, -1, 0},
    {"nacht", NIGHT, -1, -1, -1, 0},
    {"moon", NIGHT, -1, -1, -1, 0},
    {"star", NIGHT, -1, -1, 0, 0},
    {"midnight", NIGHT, -1, -1, -1, 0},
    {"space", NIGHT, -1, -1, 0, EXTRA_PLANET},
    {"planet", NIGHT, -1, -1, 0, EXTRA_PLANET},
    {"galax", NIGHT, -1, -1, 0, EXTRA_PLANET},
    {"astronaut", NIGHT, LAND_DUNES, 0, 0, EXTRA_PLANET},
    {"robot", DUSK, LAND_CITY, -1, -1, EXTRA_PLANET},
    {"sunset", SUNSET, -1, -1, 1, 0},
    {"zonsondergang", SUNSET, -1, -1, 1, 0},
    {"evening", SUNSET, -1, -1, -1, 0},
    {"avond", SUNSET, -1, -1, -1, 0},
    {"sunrise", DAWN, -1, -1, 1, 0},
    {"dawn", DAWN, -1, -1, -1, 0},
    {"morning", DAWN, -1, -1, -1, 0},
    {"ochtend", DAWN, -1, -1, -1, 0},
    {"dusk", DUSK, -1, -1, -1, 0},
    {"aurora", AURORA, -1, -1, 0, 0},
    {"northern light", AURORA, -1, -1, 0, 0},
    {"noorderlicht", AURORA, -1, -1, 0, 0},
    {"summer", DAY, -1, -1, 1, 0},
    {"zomer", DAY, -1, -1, 1, 0},
    {"winter", MIST, -1, -1, -1, EXTRA_SNOW},
    {"snow", MIST, -1, -1, -1, EXTRA_SNOW},
    {"sneeuw", MIST, -1, -1, -1, EXTRA_SNOW},
    {"ice", MIST, LAND_MOUNTAINS, -1, -1, EXTRA_SNOW},
    {"fog", MIST, -1, -1, -1, 0},
    {"mist", MIST, -1, -1, -1, 0},
    {"rain", MIST, -1, -1, 1, 0},
    {"storm", DUSK, -1, -1, 1, 0},
    {"autumn", GOLD, LAND_FOREST, -1, -1, 0},
    {"herfst", GOLD, LAND_FOREST, -1, -1, 0},
    {"spring", PINK, -1, -1, -1, 0},
    {"blossom", PINK, -1, -1, -1, 0},
    {"flower", PINK, LAND_HILLS, -1, -1, 0},
    {"tulip", PINK, LAND_HILLS, -1, -1, 0},
    {"desert", DESERT, LAND_DUNES, 0, -1, 0},
    {"dune", DESERT, LAND_DUNES, -1, -1, 0},
    {"woestijn", DESERT, LAND_DUNES, 0, -1, 0},
    {"mars", RED, LAND_DUNES, 0, 0, EXTRA_PLANET},
    {"fire", RED, -1, -1, -1, 0},
    {"volcan", RED, LAND_MOUNTAINS, -1, -1, 0},
    {"dragon", RED, LAND_MOUNTAINS, -1, -1, 0},
    {"red", RED, -1, -1, -1, 0},
    {"rood", RED, -1, -1, -1, 0},
    {"rode", RED, -1, -1, -1, 0},
    {"orange", SUNSET, -1, -1, -1, 0},
    {"oranje", SUNSET, -1, -1, -1, 0},
    {"fox", SUNSET, LAND_FOREST, -1, -1, 0},
    {"vos", SUNSET, LAND_FOREST, -1, -1, 0},
    {"yellow", GOLD, -1, -1, -1, 0},
    {"geel", GOLD, -1, -1, -1, 0},
    {"gold", GOLD, -1, -1, -1, 0},
    {"green", GREEN, -1, -1, -1, 0},
    {"groen", GREEN, -1, -1, -1, 0},
    {"teal", AURORA, -1, -1, -1, 0},
    {"blue", DAY, -1, -1, -1, 0},
    {"blauw", DAY, -1, -1, -1, 0},
    {"purple", DUSK, -1, -1, -1, 0},
    {"paars", DUSK, -1, -1, -1, 0},
    {"violet", DUSK, -1, -1, -1, 0},
    {"pink", PINK, -1, -1, -1, 0},
    {"roze", PINK, -1, -1, -1, 0},
    {"white", MIST, -1, -1, -1, 0},
    {"grey", MIST, -1, -1, -1, 0},
    {"gray", MIST, -1, -1, -1, 0},
    {"mountain", -1, LAND_MOUNTAINS, -1, -1, 0},
    {"berg", -1, LAND_MOUNTAINS, -1, -1, 0},
    {"alp", -1, LAND_MOUNTAINS, -1, -1, EXTRA_SNOW},
    {"hill", -1, LAND_HILLS, -1, -1, 0},
    {"heuvel", -1, LAND_HILLS, -1, -1, 0},
    {"valley", -1, LAND_HILLS, -1, -1, 0},
    {"field", -1, LAND_HILLS, -1, -1, 0},
    {"meadow", GREEN, LAND_HILLS, -1, -1, 0},
    {"forest", GREEN, LAND_FOREST, -1, -1, 0},
    {"tree", -1, LAND_FOREST, -1, -1, 0},
    {"boom", -1, LAND_FOREST, -1, -1, 0},
    {"bos", GREEN, LAND_FOREST, -1, -1, 0},
    {"wood", -1, LAND_FOREST, -1, -1, 0},
    {"jungle", GREEN, LAND_FOREST, -1, -1, 0},
    {"city", -1, LAND_CITY, -1, -1, 0},
    {"stad", -1, LAND_CITY, -1, -1, 0},
    {"street", DUSK, LAND_CITY, -1, -1, 0},
    {"skyline", -1, LAND_CITY, -1, -1, 0},
    {"building", -1, LAND_CITY, -1, -1, 0},
    {"tower", -1, LAND_CITY, -1, -1, 0},
    {"neon", DUSK, LAND_CITY, -1, -1, 0},
    {"house", -1, LAND_HILLS, -1, -1, 0},
    {"lake", -1, -1, 1, -1, 0},
    {"meer", -1, -1, 1, -1, 0},
    {"river", -1, -1, 1, -1, 0},
    {"water", -1, -1, 1, -1, 0},
    {"sea", -1, LAND_HILLS, 1, -1, EXTRA_BIRDS},
    {"zee", -1, LAND_HILLS, 1, -1, EXTRA_BIRDS},
    {"ocean", DAY, LAND_HILLS, 1, -1, EXTRA_BIRDS},
    {"beach", -1, LAND_HILLS, 1, -1, EXTRA_BIRDS},
    {"strand", -1, LAND_HILLS, 1, -1, EXTRA_BIRDS},
    {"island", -1, LAND_HILLS, 1, -1, 0},
    {"boat", -1, -1, 1, -1, EXTRA_BOAT},
    {"boot", -1, -1, 1, -1, EXTRA_BOAT},
    {"ship", -1, -1, 1, -1, EXTRA_BOAT},
    {"sail", -1, -1, 1, -1, EXTRA_BOAT},
    {"harbour", DAWN, LAND_CITY, 1, -1, EXTRA_BOAT},
    {"haven", DAWN, LAND_CITY, 1, -1, EXTRA_BOAT},
    {"bird", -1, -1, -1, -1, EXTRA_BIRDS},
    {"vogel", -1, -1, -1, -1, EXTRA_BIRDS},
    {"cloud", -1, -1, -1, 1, 0},
    {"wolk", -1, -1, -1, 1, 0},
};

struct wishes {
	int palette, land, water, clouds;
	bool extras[EXTRA_PLANET + 1];
};

/* Words count where they begin a word of the prompt; the first to speak about something decides. */
static void
read_words(const char *prompt, struct wishes *ret_wishes)
{
	struct wishes wishes = {.palette = -1, .land = -1, .water = -1, .clouds = -1};
	for (const char *at = prompt; *at != '\0'; at++) {
		if (at != prompt && isalpha((unsigned char)at[-1]))
			continue;
		for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
			const struct word *word = &words[i];
			if (strncasecmp(at, word->word, strlen(word->word)) != 0)
				continue;
			wishes.palette = wishes.palette < 0 ? word->palette : wishes.palette;
			wishes.land = wishes.land < 0 ? word->land : wishes.land;
			wishes.water = wishes.water < 0 ? word->water : wishes.water;
			wishes.clouds = wishes.clouds < 0 ? word->clouds : wishes.clouds;
			wishes.extras[word->extra] = true;
		}
	}
	*ret_wishes = wishes;
}

static void
choose_colours(struct plan *plan, int palette, struct chance *chance)
{
	const uint32_t *hex = palettes[palette];
	struct colour *colours[] = {&plan->zenith, &plan->middle, &plan->horizon, &plan->sun, &plan->far, &plan->near};
	float turn = chance_between(chance, -14, 14), saturation = chance_between(chance, 0.92f, 1.12f);
	for (int i = 0; i < 6; i++)
		*colours[i] = colour_turn(colour_hex(hex[i]), turn, saturation);
	plan->aurora = palette == AURORA;
	plan->night = palette == NIGHT || palette == AURORA || palette == DUSK;
}

static void
choose_shape(struct plan *plan, const struct wishes *wishes, struct chance *chance)
{
	plan->land = (enum land)(wishes->land >= 0 ? wishes->land : chance_below(chance, LAND_CITY));
	plan->water = wishes->water >= 0 ? wishes->water == 1 : chance_below(chance, 3) == 0;
	plan->clouds = wishes->clouds >= 0 ? wishes->clouds == 1 : chance_below(chance, 3) > 0;
	plan->cloud_cover = chance_between(chance, 0.35f, 0.62f);
	plan->birds = wishes->extras[EXTRA_BIRDS] || (!plan->night && chance_below(chance, 3) == 0);
	plan->boat = wishes->extras[EXTRA_BOAT] || (plan->water && chance_below(chance, 4) == 0);
	plan->snow = wishes->extras[EXTRA_SNOW] || (plan->land == LAND_MOUNTAINS && chance_below(chance, 2) == 0);
	plan->planet = wishes->extras[EXTRA_PLANET];
	plan->layers = 4 + chance_below(chance, 3);
	plan->skyline = chance_between(chance, 0.46f, 0.6f);
	plan->waterline = chance_between(chance, 0.66f, 0.74f);
	plan->sun_x = chance_between(chance, 0.2f, 0.8f);
	plan->sun_y =
	    plan->night ? chance_between(chance, 0.14f, 0.32f) : plan->skyline - chance_between(chance, 0.04f, 0.24f);
	plan->sun_radius = plan->night ? chance_between(chance, 0.035f, 0.055f) : chance_between(chance, 0.05f, 0.085f);
}

void
plan_make(const char *prompt, int64_t seed, int index, struct plan *ret_plan)
{
	uint8_t digest[DIGEST_SHA256];
	struct chance chance = {0};
	struct wishes wishes;
	struct plan plan = {0};
	digest_sha256(prompt, strlen(prompt), digest);
	memcpy(&chance.state, digest, sizeof chance.state);
	chance.state ^= (uint64_t)seed * 0x9e3779b97f4a7c15u + (uint64_t)index * 0xd1342543de82ef95u;
	plan.seed = (uint32_t)chance_next(&chance);
	read_words(prompt, &wishes);
	choose_colours(&plan, wishes.palette >= 0 ? wishes.palette : chance_below(&chance, PALETTE__COUNT), &chance);
	choose_shape(&plan, &wishes, &chance);
	*ret_plan = plan;
}
