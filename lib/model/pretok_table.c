/* pretok_table.c - the pre-tokenizers that files name in tokenizer.ggml.pre
 *
 * Patterns are those of the models' own tokenizers, where C's classes \s, \d are ASCII and
 * Unicode is reached through categories. A category in this table is matched on a byte that
 * stands for it (see pretok.c): hence no telling upper from lower case beyond ASCII, which is
 * what \p{Upper} and \p{Lower} say. A pattern cuts; what it does not match stays a word, so that
 * a last "|\s+" would change nothing after "|\s+(?!\S)" and is left out where the family does.
 */
#include "lib/model/pretok.h"

const char pretok_digits[] = "digits";
const char pretok_thousands[] = "thousands";

#define CONTRACTION "(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])"
#define WORD "[^\\r\\n\\p{L}\\p{N}]?\\p{L}+"
#define OTHERS " ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*"
#define SPACES "\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"

#define GPT2 "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)"
#define LLAMA3 CONTRACTION "|" WORD "|\\p{N}{1,3}|" OTHERS "|" SPACES
#define QWEN2 CONTRACTION "|" WORD "|\\p{N}|" OTHERS "|" SPACES
#define NEWLINES "[^\\n]+|[\\n]+"

/* Words by case, as GPT-4o has them; `mark` joins the letters where a family lets it. */
#define CASED(mark, tail) \
    "[^\\r\\n\\p{L}\\p{N}]?[\\p{Upper}" mark "]*[\\p{Lower}" mark "]+" tail \
    "|[^\\r\\n\\p{L}\\p{N}]?[\\p{Upper}" mark "]+[\\p{Lower}" mark "]*" tail
/* The same in a family that tells no case apart. */
#define CASELESS "[^\\r\\n\\p{L}\\p{N}]?[\\p{L}\\p{M}]+" CONTRACTION "?"
#define SLASHES " ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*"

#define ASCII_PUNCTUATION_WORD "[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+"
#define MARKED_WORD "[^\\r\\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+"
#define DEEPSEEK3 \
    ASCII_PUNCTUATION_WORD "|" MARKED_WORD "| ?[\\p{P}\\p{S}]+[\\r\\n]*|" SPACES
#define CJK_KANA "[\\x{4E00}-\\x{9FA5}\\x{3040}-\\x{309F}\\x{30A0}-\\x{30FF}]+"

/* Words up to a full stop or comma of some script. */
#define NO_STOPS " ?[^(\\s|.,!?\\x{2026}\\x{3002}\\x{FF0C}\\x{3001}\\x{964}\\x{6D4}\\x{60C})]+"

/* The cased letters of deepseek-llm's Unicode. */
#define DEEPSEEK_LETTERS \
    "A-Za-z\\x{B5}\\x{C0}-\\x{D6}\\x{D8}-\\x{F6}\\x{F8}-\\x{1BA}\\x{1BC}-\\x{1BF}" \
    "\\x{1C4}-\\x{293}\\x{295}-\\x{2AF}\\x{370}-\\x{373}\\x{376}\\x{377}\\x{37B}-\\x{37D}" \
    "\\x{37F}\\x{386}\\x{388}-\\x{38A}\\x{38C}\\x{38E}-\\x{3A1}\\x{3A3}-\\x{3F5}" \
    "\\x{3F7}-\\x{481}\\x{48A}-\\x{52F}\\x{531}-\\x{556}\\x{10A0}-\\x{10C5}" \
    "\\x{13A0}-\\x{13F5}\\x{13F8}-\\x{13FD}\\x{1C90}-\\x{1CBA}\\x{1CBD}-\\x{1CBF}" \
    "\\x{1D00}-\\x{1D2B}\\x{1D6B}-\\x{1D77}\\x{1D79}-\\x{1D9A}\\x{1E00}-\\x{1F15}" \
    "\\x{1F18}-\\x{1F1D}\\x{1F20}-\\x{1F45}\\x{1F48}-\\x{1F4D}\\x{1F50}-\\x{1F57}\\x{1F59}" \
    "\\x{1F5B}\\x{1F5D}\\x{1F5F}-\\x{1F7D}\\x{1F80}-\\x{1FB4}\\x{1FB6}-\\x{1FBC}\\x{1FBE}" \
    "\\x{1FC2}-\\x{1FC4}\\x{1FC6}-\\x{1FCC}\\x{1FD0}-\\x{1FD3}\\x{1FD6}-\\x{1FDB}" \
    "\\x{1FE0}-\\x{1FEC}\\x{1FF2}-\\x{1FF4}\\x{1FF6}-\\x{1FFC}\\x{2102}\\x{2107}" \
    "\\x{210A}-\\x{2113}\\x{2115}\\x{2119}-\\x{211D}\\x{2124}\\x{2126}\\x{2128}" \
    "\\x{212A}-\\x{212D}\\x{212F}-\\x{2134}\\x{2139}\\x{213C}-\\x{213F}\\x{2145}-\\x{2149}" \
    "\\x{214E}\\x{2183}\\x{2184}\\x{2C00}-\\x{2C7B}\\x{2C7E}-\\x{2CE4}\\x{2CEB}-\\x{2CEE}" \
    "\\x{2CF2}\\x{2CF3}\\x{A640}-\\x{A66D}\\x{A680}-\\x{A69B}\\x{A722}-\\x{A76F}" \
    "\\x{A771}-\\x{A787}\\x{A78B}-\\x{A78E}\\x{AB70}-\\x{ABBF}\\x{FB00}-\\x{FB06}" \
    "\\x{FB13}-\\x{FB17}\\x{FF21}-\\x{FF3A}\\x{FF41}-\\x{FF5A}\\x{10400}-\\x{1044F}" \
    "\\x{104B0}-\\x{104D3}\\x{104D8}-\\x{104FB}\\x{10C80}-\\x{10CB2}\\x{10CC0}-\\x{10CF2}" \
    "\\x{118A0}-\\x{118DF}\\x{1E900}-\\x{1E943}"
#define CJK_HANGUL "[\\x{4E00}-\\x{9FA5}\\x{800}-\\x{4E00}\\x{AC00}-\\x{D7FF}]+"

const struct pretok_row pretok_table[] = {
    {"default", 0, {"[\\p{P}\\$\\+<=>\\^~\\|]+", GPT2, "\\p{N}+", "[0-9][0-9][0-9]"}},
    {"gpt-2 phi-2 jina-es jina-de gigachat jina-v2-es jina-v2-de a.x-4.0 mellum modern-bert "
     "jina-v1-en jina-v2-code roberta-bpe mpt olmo jais trillion granite-docling exaone4",
     0, {GPT2}},
    {"starcoder refact command-r smollm codeshell exaone minerva-7b mellum2", 0,
     {"\\p{N}", GPT2}},
    {"llama3 llama-v3 llama-bpe falcon3 falcon-h1 pixtral midm-2.0 lfm2 jina-v5-nano",
     PRETOK_IGNORE_MERGES | PRETOK_ADD_BOS, {LLAMA3}},
    {"dbrx smaug-bpe", 0, {LLAMA3}},
    {"chatglm-bpe", PRETOK_NO_BOS, {LLAMA3}},
    {"glm4 glm5", PRETOK_NO_BOS | PRETOK_IGNORE_MERGES, {LLAMA3}},
    {"jais-2", 0,
     {CONTRACTION "|" WORD "|\\p{N}{1,3}|" OTHERS "|\\s*[\\r\\n]+|\\s{512}(?!\\S)|\\s{256}(?!\\S)"
      "|\\s{128}(?!\\S)|\\s{64}(?!\\S)|\\s{32}(?!\\S)|\\s{16}(?!\\S)|\\s{8}(?!\\S)|\\s{4}(?!\\S)"
      "|\\s{1,2}(?!\\S)|\\s{1}"}},
    {"minicpm5", PRETOK_IGNORE_MERGES,
     {"\\p{N}{1,3}", CONTRACTION "|" WORD "|\\p{N}+|" OTHERS "|" SPACES}},
    {"qwen2 deepseek-r1-qwen kormo f2llmv2 megrez stablelm2 hunyuan solar-open grok-2", 0,
     {QWEN2}},
    {"laguna", 0, {NEWLINES, QWEN2}},
    {"qwen35", 0,
     {CONTRACTION "|[^\\r\\n\\p{L}\\p{N}]?[\\p{L}\\p{M}]+|\\p{N}"
      "| ?[^\\s\\p{L}\\p{M}\\p{N}]+[\\r\\n]*|" SPACES}},
    {"ufakzeka", 0, {WORD "|\\p{N}|" OTHERS "|" SPACES}},
    {"seed-coder", 0,
     {CONTRACTION "|" WORD "|\\p{N}| ?[^\\s\\p{L}\\p{N}\\r\\n]+|" SPACES}},
    {"bailingmoe bailingmoe2 llada-moe", 0,
     {"'(?:[sSdDmMtT]|[lL][lL]|[vV][eE]|[rR][eE])|" WORD "|\\p{N}|" OTHERS
      "|\\s*[\\r\\n]|\\s+(?!\\S)|\\s+"}},
    /* Nothing follows the letters, so that they may be taken for good as they come. */
    {"exaone-moe", 0,
     {CONTRACTION "|[^\\r\\n\\p{L}\\p{N}]?(?:\\p{L}\\p{M}*+(?: \\p{L}\\p{M}*+)*+)++|\\p{N}"
      "| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]?|\\s*[\\r\\n]|\\s+(?!\\S)|\\s+"}},
    {"deepseek-llm", 0,
     {"[\\r\\n]", "\\s?[" DEEPSEEK_LETTERS "]+",
      "\\s?[!-/:-~\\x{FF01}-\\x{FF0F}\\x{FF1A}-\\x{FF5E}\\x{2018}-\\x{201F}\\x{3000}-\\x{3002}]+",
      "\\s+$",
      CJK_HANGUL, "\\p{N}+"}},
    {"deepseek-coder", 0, {"[\\r\\n]", "\\s?\\p{L}+", "\\s?\\p{P}+", CJK_HANGUL, "\\p{N}"}},
    {"deepseek-v3 hunyuan-dense joyai-llm hy_v4", 0, {"\\p{N}{1,3}", CJK_KANA, DEEPSEEK3}},
    {"spark2_5", 0,
     {"\\p{N}{1,3}", CJK_KANA,
      ASCII_PUNCTUATION_WORD "|" MARKED_WORD "| ?[\\p{P}\\p{S}]+|[\\r\\n]|\\s+(?!\\S)|\\s+",
      "\\p{N}"}},
    {"youtu", PRETOK_IGNORE_MERGES,
     {"[\\x{AC00}-\\x{D7A3}\\x{3131}-\\x{318E}]+"
      "|[\\x{FF01}\\x{2026}\\x{201C}\\x{201D}\\x{2018}\\x{2019}\\x{2014}"
      "\\x{FF1A}\\x{FF1B}\\x{FF0C}\\x{3001}-\\x{303F}\\x{FE30}-\\x{FE4F}]+"
      "|[\\x{3105}-\\x{312F}]+|" CJK_KANA,
      CASELESS "|\\p{N}|" SLASHES "|" SPACES}},
    {"afmoe", 0,
     {pretok_digits,
      "[\\x{4E00}-\\x{9FFF}\\x{3400}-\\x{4DBF}\\x{8C48}-\\x{FAFF}\\x{3040}-\\x{309F}"
      "\\x{30A0}-\\x{30FF}\\x{FF65}-\\x{FF9F}\\x{2F00}-\\x{2FDF}\\x{E40}-\\x{E7F}"
      "\\x{E80}-\\x{EFF}\\x{1780}-\\x{17FF}\\x{1000}-\\x{109F}\\x{AA60}-\\x{AA7F}"
      "\\x{A9E0}-\\x{A9FF}\\x{AC00}-\\x{D7AF}\\x{1100}-\\x{11FF}]+", DEEPSEEK3}},
    {"falcon", 0, {"[\\p{P}\\$\\+<=>\\^~\\|`]+", GPT2, "[0-9][0-9][0-9]"}},
    {"poro-chat bloom gpt3-finnish", 0, {NO_STOPS}},
    {"viking", 0, {NO_STOPS, "\\p{N}"}},
    {"tekken", PRETOK_IGNORE_MERGES | PRETOK_ADD_BOS,
     {CASED("", "") "|\\p{N}|" SLASHES "|" SPACES}},
    {"gpt-4o llama4 kanana2 talkie minimax-m2", 0,
     {CASED("", CONTRACTION "?") "|\\p{N}{1,3}|" SLASHES "|" SPACES}},
    {"granite-embed-multi-97m", PRETOK_IGNORE_MERGES,
     {CASED("\\p{M}", CONTRACTION "?") "|\\p{N}{1,3}|" SLASHES "|" SPACES}},
    {"tiny_aya cohere2moe", 0,
     {pretok_digits, CASELESS "|\\p{N}{1,3}|" SLASHES "|" SPACES}},
    {"chameleon", PRETOK_ADD_BOS,
     {"<sentinel:[0-9]+>", "(IMGIMG)((A|B|C|D|E|F|G|H|I){1,4})Z", "([\\t\\n]|    |  )", "\\p{N}",
      "[\\p{P}!-/:-@\\[-`{-~]", GPT2}},
    {"kimi-k2", 0,
     {"[\\p{Han}]+|[^\\r\\n\\p{L}\\p{N}\\p{Han}]?\\p{L}+" CONTRACTION "?|\\p{N}{1,3}"
      "| ?[^\\s\\p{L}\\p{N}\\p{HanLetter}]+[\\r\\n]*|" SPACES}},
    {"superbpe", 0, {"\\p{N}+", pretok_thousands}},
    {"gemma4 granite-embed-multi-311m",
     PRETOK_RAW | PRETOK_ESCAPE_SPACE | PRETOK_NEWLINES | PRETOK_FORCE_BOS, {NEWLINES}},
    {"sarvam-moe", PRETOK_RAW | PRETOK_ESCAPE_SPACE, {NEWLINES}},
    {"whitespace", PRETOK_RAW | PRETOK_KEEP_CASE, {"\\S+"}},
};
const size_t pretok_rows = sizeof pretok_table / sizeof pretok_table[0];
