//! Costs against an oracle: what Python's `decimal` module makes of the same prices and counts.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::borrow::Cow;

use farebox_core::pricing::{Card, FemtoPerToken, Price, Rates, Schedule};
use farebox_core::{Reported, Usage};

fn femto(usd_per_million: &str) -> Option<FemtoPerToken> {
    if usd_per_million.is_empty() {
        return None;
    }
    Some(FemtoPerToken::parse(usd_per_million).unwrap().0)
}

/// input, cached, write 5m, write 1h, audio in, audio cached, output, reasoning, audio out.
type Texts = [&'static str; 9];

fn rates(texts: Texts) -> Rates {
    let [input, cached, write_5m, write_1h, audio, audio_cached, output, reasoning, audio_out] =
        texts.map(femto);
    Rates {
        input: input.unwrap(),
        cached,
        cache_write_5m: write_5m,
        cache_write_1h: write_1h,
        audio_input: audio,
        audio_cached,
        output,
        reasoning,
        audio_output: audio_out,
    }
}

fn price(texts: Texts) -> Price {
    let standard = Card { rates: rates(texts), context_tiers: Vec::new() };
    Price {
        version: Cow::Borrowed("test"),
        schedule: Schedule { standard, service_tiers: Vec::new() },
        periods: Vec::new(),
        per_request: None,
        web_search: None,
        rounded_up: false,
        auto_cache_write: false,
    }
}

// Prices (as `Texts`), tokens (prompt, cached, write 5m, write 1h, audio prompt, completion,
// reasoning, audio completion), `us` geography, and what Python's `decimal` module, 80 digits,
// makes of them in pico-USD: input and output rounded down, total rounded up.
const OPUS: Texts = ["5", "0.5", "6.25", "10", "", "", "25", "", ""];
const GPT4O: Texts = ["2.5", "1.25", "", "", "40", "", "10", "", "80"];
const HAIKU: Texts = ["0.1", "0.01", "0.125", "0.2", "", "", "0.5", "", ""];
const NOCACHE: Texts = ["0.07", "", "", "", "", "", "0.3", "", ""];
const REASON: Texts = ["0.4", "0.04", "", "", "", "", "1.2", "4", ""];
const AUDIO: Texts = ["0.5", "0.05", "", "", "1", "0.1", "3", "", ""];
const FINE: Texts = ["0.000000001", "", "", "", "", "", "0.000000003", "", ""];
const THIRD: Texts =
    ["0.333333333", "0.033333333", "0.416666666", "", "", "", "1.999999999", "", ""];
const ORACLE: [(Texts, [u64; 8], bool, [i128; 3]); 36] = [
    (OPUS, [1000, 0, 0, 0, 0, 500, 0, 0], false, [5000000000, 12500000000, 17500000000]),
    (OPUS, [12, 30000, 2000, 4000, 0, 777, 0, 0], false, [67560000000, 19425000000, 86985000000]),
    (OPUS, [12, 30000, 2000, 4000, 0, 777, 0, 0], true, [74316000000, 21367500000, 95683500000]),
    (OPUS, [1, 0, 0, 0, 0, 1, 0, 0], true, [5500000, 27500000, 33000000]),
    (GPT4O, [905, 1024, 0, 0, 33, 17, 0, 251], false, [4862500000, 20250000000, 25112500000]),
    (GPT4O, [0, 0, 0, 0, 0, 0, 0, 0], false, [0, 0, 0]),
    (HAIKU, [99999, 1, 1, 1, 0, 9, 0, 0], true, [11000258500, 4950000, 11005208500]),
    (NOCACHE, [10, 90, 0, 0, 0, 5, 5, 0], false, [7000000, 3000000, 10000000]),
    (NOCACHE, [10, 0, 7, 0, 0, 5, 0, 0], false, [1190000, 1500000, 2690000]),
    (REASON, [100, 50, 0, 0, 0, 10, 4096, 0], false, [42000000, 16396000000, 16438000000]),
    (AUDIO, [100, 50, 0, 0, 25, 10, 0, 0], false, [80000000, 30000000, 110000000]),
    (AUDIO, [100, 50, 0, 0, 0, 10, 0, 0], false, [52500000, 30000000, 82500000]),
    (FINE, [1, 0, 0, 0, 0, 1, 0, 0], false, [0, 0, 1]),
    (FINE, [1000000000, 0, 0, 0, 0, 1000000000, 0, 0], false, [1000000, 3000000, 4000000]),
    (FINE, [999, 0, 0, 0, 0, 1, 0, 0], false, [0, 0, 2]),
    (THIRD, [1, 1, 1, 0, 0, 1, 0, 0], false, [783333, 1999999, 2783334]),
    (THIRD, [1, 1, 1, 0, 0, 1, 0, 0], true, [861666, 2199999, 3061667]),
    (
        THIRD,
        [1000000000, 1000000000, 1000000000, 0, 0, 1000000000, 0, 0],
        true,
        [861666665200000, 2199999998900000, 3061666664100000],
    ),
    (OPUS, [0, 0, 0, 7, 0, 0, 0, 0], false, [70000000, 0, 70000000]),
    (HAIKU, [0, 0, 0, 0, 0, 0, 3, 0], false, [0, 1500000, 1500000]),
    (
        OPUS,
        [339563, 993908, 19772, 51750, 0, 85319, 6328, 0],
        false,
        [2835844000000, 2291175000000, 5127019000000],
    ),
    (
        OPUS,
        [861168, 561913, 12337, 47931, 0, 76387, 7602, 0],
        false,
        [5143212750000, 2099725000000, 7242937750000],
    ),
    (
        GPT4O,
        [39317, 90122, 56838, 54810, 1144, 31544, 11889, 9028],
        true,
        [5194887500000, 1272227000000, 6467114500000],
    ),
    (
        GPT4O,
        [61981, 867017, 74115, 16226, 3657, 82657, 82238, 9551],
        false,
        [4998643750000, 2413030000000, 7411673750000],
    ),
    (
        HAIKU,
        [605136, 613984, 51993, 6499, 0, 28977, 6105, 0],
        false,
        [74452365000, 17541000000, 91993365000],
    ),
    (
        HAIKU,
        [303677, 439499, 18907, 70868, 0, 15439, 74830, 0],
        true,
        [56429631500, 49647950000, 106077581500],
    ),
    (
        NOCACHE,
        [587472, 855770, 89391, 23688, 0, 13507, 76231, 0],
        false,
        [108942470000, 26921400000, 135863870000],
    ),
    (
        NOCACHE,
        [390487, 102163, 71793, 93337, 0, 8229, 73972, 0],
        false,
        [46044600000, 24660300000, 70704900000],
    ),
    (
        REASON,
        [649078, 215963, 65066, 89181, 0, 69693, 56045, 0],
        true,
        [362965372000, 338592760000, 701558132000],
    ),
    (
        REASON,
        [488218, 614006, 59399, 47393, 0, 39291, 32561, 0],
        false,
        [262564240000, 177393200000, 439957440000],
    ),
    (
        AUDIO,
        [732948, 817710, 31994, 10728, 9411, 39354, 68838, 0],
        true,
        [550415800000, 357033600000, 907449400000],
    ),
    (
        AUDIO,
        [917648, 360160, 95609, 58829, 4717, 79817, 9594, 0],
        false,
        [653995000000, 268233000000, 922228000000],
    ),
    (FINE, [536800, 438433, 21621, 99239, 0, 44833, 19920, 0], true, [1205, 213, 1420]),
    (FINE, [442182, 41111, 87584, 10173, 0, 73148, 75107, 0], true, [639, 489, 1129]),
    (
        THIRD,
        [356644, 729070, 45898, 77905, 0, 65100, 76008, 0],
        true,
        [214245074511, 310437599844, 524682674356],
    ),
    (
        THIRD,
        [72103, 880770, 12267, 35381, 0, 62141, 91362, 0],
        false,
        [73246666317, 307005999846, 380252666164],
    ),
];

#[test]
fn costs_equal_those_of_a_decimal_library() {
    for (index, (texts, tokens, us_geography, expected)) in ORACLE.into_iter().enumerate() {
        let [prompt, cached, write_5m, write_1h, audio, completion, reasoning, audio_out] = tokens;
        let usage = Usage {
            prompt,
            cached,
            cache_write_5m: write_5m,
            cache_write_1h: write_1h,
            audio_prompt: audio,
            completion,
            reasoning,
            audio_completion: audio_out,
            web_searches: 0,
        };

        let reported = Reported { usage, us_geography, ..Reported::default() };

        let cost = price(texts).cost(&reported).unwrap();

        let parts = [cost.input.pico(), cost.output.pico(), cost.total.pico()];
        assert_eq!(parts, expected, "row {index}");
    }
}
