//! The rows of the second survey: every other provider. The order is that of the survey.

use crate::Row;
use crate::Shown::{By, Here};
use crate::{openai, others, row};

const SURVEY: &str = "billing survey, section 14";
const REQUEST: &str = "shared/providers/tests/request.rs";
const RESPONSES: &str = "shared/providers/tests/responses.rs";
const GEMINI: &str = "shared/providers/tests/gemini.rs";
const COHERE: &str = "shared/providers/tests/cohere.rs";
const HOLDS: &str = "shared/providers/tests/holds.rs";
const CORE: &str = "shared/core/tests/pricing.rs";
const USAGE: &str = "shared/providers/src/openai/usage.rs";
const GEMINI_USAGE: &str = "shared/providers/src/gemini/usage.rs";
const ROWS_OF_PROVIDERS: &str = "shared/providers/src/provider/tests.rs";
const STATED: &str = "tests/it/stated.rs";
const STREAMING: &str = "tests/it/streaming.rs";
const PROVIDERS: &str = "tests/it/providers.rs";
const BILLS: &str = "tests/it/bills.rs";
const FALLBACK: &str = "tests/it/fallback.rs";
const REFUSALS: &str = "tests/it/refusals.rs";

/// Every row.
pub const ROWS: &[Row] = &[
    Row {
        hold: &[Here(others::a_cap_is_sent), Here(openai::every_choice_is_capped)],
        void: &[By(PROVIDERS, "a_provider_that_cannot_be_reached_costs_nothing")],
        ..row("others 1", "an explicit cap is always sent", SURVEY)
    },
    Row {
        hold: &[
            By(FALLBACK, "an_unbilled_failure_leads_on_and_each_attempt_has_its_own_hold_and_row"),
            By(PROVIDERS, "every_call_is_one_post_whatever_becomes_of_it"),
        ],
        settle: &[
            By(
                PROVIDERS,
                "a_provider_that_fails_may_bill_so_the_hold_is_charged_and_nobody_retries",
            ),
            By(FALLBACK, "an_unbilled_failure_leads_on_and_each_attempt_has_its_own_hold_and_row"),
        ],
        ..row("others 2", "a retry is a new generation", SURVEY)
    },
    Row {
        settle: &[
            Here(others::an_error_in_a_200),
            By(STREAMING, "a_stream_that_breaks_ends_in_an_error_event_and_costs_its_hold"),
        ],
        void: &[Here(others::an_error_in_a_200)],
        ..row("others 3", "an error inside a 200", SURVEY)
    },
    Row {
        hold: &[
            By(GEMINI, "the_cap_holds_thoughts_where_that_was_measured_else_the_maximum_is_held"),
            Here(openai::other_tiers_are_sent_by_name),
        ],
        settle: &[By(GEMINI_USAGE, "classes_are_disjoint_and_add_up")],
        void: &[Here(others::googles_failures)],
        ..row(
            "others 4",
            "Gemini: 400 and 500 are free by page; thoughts are output",
            "ai.google.dev/gemini-api/docs/billing",
        )
    },
    Row {
        settle: &[Here(others::a_prompt_that_google_blocks_is_charged_by_its_usage)],
        void: &[Here(others::a_prompt_that_google_blocks_is_charged_by_its_usage)],
        ..row(
            "others 5",
            "Gemini: a blocked prompt is a 200 with usage",
            "ai.google.dev/gemini-api/docs/billing",
        )
    },
    Row {
        hold: &[
            By(GEMINI, "what_costs_money_in_a_callers_own_body_is_bounded_or_refused_by_name"),
            By(GEMINI, "a_grounded_prompt_of_an_older_model_is_held_with_its_one_fee"),
        ],
        settle: &[By(
            HOLDS,
            "tools_of_the_provider_cost_no_more_than_is_held_and_settle_by_what_was_used",
        )],
        ..row(
            "others 6",
            "Gemini: a search by the query has no cap, one by the prompt has one fee",
            "ai.google.dev/gemini-api/docs/pricing",
        )
    },
    Row {
        hold: &[
            By(GEMINI, "an_image_inside_the_request_is_held_at_the_most_that_google_states"),
            By(GEMINI, "media_are_sent_inline_or_by_url_and_hold_the_window"),
        ],
        settle: &[By(GEMINI_USAGE, "classes_are_disjoint_and_add_up")],
        ..row(
            "others 7",
            "Gemini: media are counted approximately",
            "ai.google.dev/gemini-api/docs/media-resolution",
        )
    },
    Row {
        settle: &[Here(others::the_last_of_the_cumulative_counts_is_charged)],
        ..row("others 8", "Gemini: usage is cumulative", "ai.google.dev/api/generate-content")
    },
    Row {
        hold: &[Here(others::vertex_is_held_with_its_regions)],
        settle: &[Here(others::vertex_counts_in_its_last_chunk)],
        void: &[Here(others::googles_failures)],
        ..row(
            "others 9",
            "Vertex: only a 200 is billed; regions are dearer",
            "cloud.google.com/vertex-ai/generative-ai/pricing",
        )
    },
    Row {
        hold: &[By(REFUSALS, "what_is_billed_by_the_hour_or_by_the_document_cannot_be_made")],
        settle: &[By(REFUSALS, "what_is_billed_by_the_hour_or_by_the_document_cannot_be_made")],
        ..row(
            "others 10",
            "Google: cache storage by the hour",
            "ai.google.dev/gemini-api/docs/pricing",
        )
    },
    Row {
        hold: &[By(RESPONSES, "xais_fee_for_a_violation_is_held_and_bounds_its_403")],
        settle: &[By(USAGE, "a_stated_cost_is_read_where_the_row_says_so")],
        void: &[Here(others::xais_refusals)],
        ..row("others 11", "xAI: a refused response has a fee", "docs.x.ai/docs/pricing")
    },
    Row {
        hold: &[By(REQUEST, "reasoning_outside_the_cap_is_held")],
        settle: &[By(USAGE, "without_a_total_the_row_tells_where_reasoning_is")],
        ..row(
            "others 12",
            "xAI: the cap of chat leaves reasoning out",
            "xai-org/xai-proto chat.proto",
        )
    },
    Row {
        hold: &[Here(others::xais_factors_are_held_for)],
        settle: &[
            Here(others::xais_region_is_charged_by_its_host),
            By(CORE, "the_returned_service_tier_decides_the_cost"),
        ],
        ..row(
            "others 13",
            "xAI: long prompts, priority and the US endpoint",
            "docs.x.ai/docs/pricing",
        )
    },
    Row {
        hold: &[
            Here(others::tools_of_the_provider_are_refused),
            By(RESPONSES, "searches_are_held_by_their_fees_and_turns"),
        ],
        settle: &[By(USAGE, "a_stated_cost_is_read_where_the_row_says_so")],
        ..row("others 14", "xAI: its tools have no bound", "docs.x.ai/docs/pricing")
    },
    Row {
        hold: &[
            By(CORE, "a_hold_counts_with_the_peak_whatever_the_time"),
            Here(others::a_cap_is_sent),
        ],
        settle: &[By(CORE, "the_time_of_the_call_decides_between_peak_and_base_price")],
        void: &[Here(others::refusals_before_a_model_are_void)],
        ..row(
            "others 15",
            "DeepSeek: prices by the clock",
            "api-docs.deepseek.com/quick_start/pricing",
        )
    },
    Row {
        settle: &[
            Here(others::comments_alone_are_no_usage),
            By(STREAMING, "a_good_answer_without_usage_costs_its_hold"),
        ],
        void: &[Here(others::comments_alone_are_no_usage)],
        ..row(
            "others 16",
            "DeepSeek: comments before admission, then a close",
            "api-docs.deepseek.com/quick_start/rate_limit",
        )
    },
    Row {
        hold: &[
            Here(openai::every_choice_is_capped),
            Here(others::tools_of_the_provider_are_refused),
        ],
        settle: &[
            Here(others::mistrals_cached_tokens_count_once),
            Here(others::what_mistrals_connectors_read_is_input),
        ],
        void: &[
            Here(others::refusals_before_a_model_are_void),
            Here(others::no_5xx_of_the_compatible_is_void),
        ],
        ..row(
            "others 17",
            "Mistral: n multiplies the output alone; its connectors are off chat",
            "mistralai openapi.yaml",
        )
    },
    Row {
        hold: &[Here(openai::usage_of_a_stream_is_asked_for)],
        settle: &[By(STREAMING, "a_stream_that_breaks_ends_in_an_error_event_and_costs_its_hold")],
        ..row(
            "others 18",
            "Mistral: the usage of a stream must be asked for",
            "mistralai known-limitations.md",
        )
    },
    Row {
        hold: &[
            By(COHERE, "a_model_that_may_think_is_held_to_its_maximum"),
            By(REFUSALS, "what_is_billed_by_the_hour_or_by_the_document_cannot_be_made"),
        ],
        settle: &[
            Here(others::cohere_bills_its_billed_units),
            By(BILLS, "an_answer_of_cohere_is_charged_by_its_billed_units_whole_and_streamed"),
        ],
        void: &[Here(others::coheres_failures)],
        ..row("others 19", "Cohere: billed_units, never tokens", "how-does-cohere-pricing-work.mdx")
    },
    Row {
        hold: &[By(ROWS_OF_PROVIDERS, "models_without_a_bound_are_known_by_name")],
        settle: &[
            Here(others::usage_of_groq_stands_beside_its_answer),
            Here(others::a_breakdown_of_groq_is_summed),
        ],
        void: &[Here(others::refusals_before_a_model_are_void), Here(others::groqs_498)],
        ..row(
            "others 20",
            "Groq: compound runs many models and tools",
            "console.groq.com/docs/compound",
        )
    },
    Row {
        settle: &[
            Here(others::an_error_of_groqs_own_is_told_without_usage),
            By(STREAMING, "a_stream_that_breaks_ends_in_an_error_event_and_costs_its_hold"),
        ],
        ..row("others 21", "Groq: an error inside a 200", "groq/groq-python")
    },
    Row {
        hold: &[By(CORE, "a_cached_discount_never_lowers_a_hold_and_a_cached_surcharge_raises_it")],
        settle: &[Here(others::mistrals_cached_tokens_count_once)],
        void: &[Here(others::refusals_before_a_model_are_void)],
        ..row(
            "others 22",
            "Together: cached in two shapes",
            "docs.together.ai openai-compatibility",
        )
    },
    Row {
        hold: &[
            By(ROWS_OF_PROVIDERS, "models_without_a_bound_are_known_by_name"),
            Here(others::openrouters_choices_are_not_asked_for),
            Here(others::openrouter_is_told_the_dearest_price),
            By(STATED, "openrouter_calls_no_endpoint_above_the_prices_that_are_held"),
        ],
        settle: &[By(USAGE, "a_stated_cost_is_read_where_the_row_says_so")],
        void: &[
            Here(others::refusals_before_a_model_are_void),
            Here(others::a_cost_of_nothing_is_stated_as_such),
        ],
        ..row(
            "others 23",
            "OpenRouter: routers, plugins and endpoints chosen late",
            "openrouter provider-routing, usage-accounting.mdx",
        )
    },
    Row {
        settle: &[By(STREAMING, "a_stream_that_breaks_ends_in_an_error_event_and_costs_its_hold")],
        ..row(
            "others 24",
            "OpenRouter: a cut stream is told by /generation, which is not asked",
            "openrouter streaming.mdx",
        )
    },
    Row {
        hold: &[
            Here(others::perplexity_has_no_price_but_its_owners),
            By(STATED, "a_model_whose_listed_surface_has_ended_is_refused_until_it_has_a_price"),
            By(ROWS_OF_PROVIDERS, "models_without_a_bound_are_known_by_name"),
            Here(others::tools_of_the_provider_are_refused),
        ],
        settle: &[By(USAGE, "a_stated_cost_is_read_where_the_row_says_so")],
        void: &[Here(others::refusals_before_a_model_are_void)],
        ..row(
            "others 25",
            "Perplexity: Sonar is priced anew; its own total; research has no bound",
            "docs.perplexity.ai pricing",
        )
    },
    Row {
        hold: &[
            Here(others::an_id_without_a_row_has_no_price),
            Here(openai::other_tiers_are_sent_by_name),
        ],
        settle: &[
            Here(others::cached_tokens_of_fireworks_are_read),
            By(STREAMING, "a_stream_that_breaks_ends_in_an_error_event_and_costs_its_hold"),
        ],
        void: &[
            Here(others::refusals_before_a_model_are_void),
            Here(others::no_5xx_of_the_compatible_is_void),
        ],
        ..row(
            "others 26",
            "Fireworks: the mode is in the model's id",
            "docs.fireworks.ai/serverless/pricing",
        )
    },
    Row {
        hold: &[Here(others::every_choice_of_cerebras_is_capped)],
        settle: &[Here(others::an_error_in_a_200)],
        void: &[Here(others::refusals_before_a_model_are_void)],
        ..row(
            "others 27",
            "Cerebras: the cap holds reasoning; an error chunk",
            "cerebras-cloud-sdk-python",
        )
    },
    Row {
        hold: &[Here(others::a_cap_is_sent), Here(openai::usage_of_a_stream_is_asked_for)],
        settle: &[
            Here(others::an_error_in_a_200),
            Here(others::a_failed_stream_of_vllm_is_counted_to_its_last_chunk),
        ],
        void: &[
            Here(others::refusals_before_a_model_are_void),
            Here(others::no_5xx_of_the_compatible_is_void),
        ],
        ..row(
            "others 28",
            "vLLM, llama.cpp, ollama: no cap is endless; [DONE] after an error",
            "vLLM, llama.cpp, ollama",
        )
    },
];
