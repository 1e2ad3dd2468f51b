//! The rows of the first survey: Anthropic, `OpenAI`, Azure, Bedrock. The order is that of the
//! survey.

use crate::Row;
use crate::Shown::{By, Here};
use crate::{anthropic, openai, others, row};

const PC: &str = "platform.claude.com/docs";
const OA: &str = "developers.openai.com/api/docs";
const MS: &str = "learn.microsoft.com/azure/ai-foundry/openai/how-to/manage-costs";
const AWS: &str = "docs.aws.amazon.com/bedrock";
const REQUEST: &str = "shared/providers/tests/request.rs";
const RESPONSES: &str = "shared/providers/tests/responses.rs";
const BEDROCK: &str = "shared/providers/tests/bedrock.rs";
const HOLDS: &str = "shared/providers/tests/holds.rs";
const GOLDEN_BEDROCK: &str = "shared/providers/tests/golden/bedrock.rs";
const CORE: &str = "shared/core/tests/pricing.rs";
const USAGE: &str = "shared/providers/src/openai/usage.rs";
const ANTHROPIC_USAGE: &str = "shared/providers/src/anthropic/usage.rs";
const BEDROCK_USAGE: &str = "shared/providers/src/bedrock/usage.rs";
const STREAMING: &str = "tests/it/streaming.rs";
const PROVIDERS: &str = "tests/it/providers.rs";
const BILLS: &str = "tests/it/bills.rs";
const REFUSALS: &str = "tests/it/refusals.rs";

/// Every row.
pub const ROWS: &[Row] = &[
    Row {
        hold: &[Here(anthropic::thinking_is_inside_the_cap)],
        settle: &[Here(anthropic::a_thought_that_is_not_shown_is_charged)],
        ..row("anthropic 1", "thinking is inside max_tokens; its budget is only a target", PC)
    },
    Row {
        hold: &[Here(anthropic::the_window_bounds_claude)],
        ..row("anthropic 2", "input and max_tokens beyond the window are taken", PC)
    },
    Row {
        hold: &[
            Here(anthropic::tools_add_a_preamble),
            Here(anthropic::tools_of_anthropics_own_kinds_count_their_prompts),
            Here(anthropic::what_anthropic_hides_is_refused),
        ],
        ..row("anthropic 3", "tools add a preamble, those of its own kinds a prompt", PC)
    },
    Row {
        hold: &[
            Here(anthropic::what_is_behind_an_address_is_held_at_its_most),
            Here(anthropic::what_anthropic_hides_is_refused),
            By(REQUEST, "an_image_is_held_at_the_most_that_its_provider_states"),
        ],
        ..row(
            "anthropic 4",
            "addresses, files, containers, skills and MCP are not in the request",
            PC,
        )
    },
    Row {
        hold: &[
            Here(anthropic::server_tools_are_held_for_every_sampling),
            Here(anthropic::code_runs_only_where_its_container_is_free),
        ],
        settle: &[
            By(
                HOLDS,
                "tools_of_the_provider_cost_no_more_than_is_held_and_settle_by_what_was_used",
            ),
            By(BILLS, "searches_are_capped_held_and_charged_by_what_was_counted"),
        ],
        void: &[Here(anthropic::a_search_that_failed_has_no_fee)],
        ..row("anthropic 5", "server tools sample many times, and a search has a fee", PC)
    },
    Row {
        hold: &[
            Here(anthropic::one_lifetime_anywhere_is_held_for_all),
            By(REQUEST, "a_cache_write_that_is_asked_for_is_bounded"),
            By(CORE, "an_asked_cache_write_bounds_every_prompt_token"),
        ],
        settle: &[By(
            ANTHROPIC_USAGE,
            "a_write_is_split_by_lifetime_and_an_untold_one_is_the_dearer",
        )],
        ..row("anthropic 6", "cache writes at 1.25 and 2 times, split by lifetime", PC)
    },
    Row {
        hold: &[Here(anthropic::what_samples_once_more_is_refused)],
        settle: &[By(ANTHROPIC_USAGE, "compaction_is_added_and_another_model_charges_the_hold")],
        ..row("anthropic 7", "compaction, advisors and fallbacks are outside the sums", PC)
    },
    Row {
        hold: &[Here(anthropic::the_us_geography_is_held)],
        settle: &[
            By(ANTHROPIC_USAGE, "what_the_standard_price_does_not_cover_is_said"),
            By(CORE, "the_us_geography_costs_a_tenth_more_on_tokens_and_not_on_fees"),
        ],
        ..row(
            "anthropic 8",
            "inference_geo us is a tenth dearer, and a default of the workspace",
            PC,
        )
    },
    Row {
        hold: &[Here(anthropic::fast_is_held_and_charged_as_a_tier)],
        settle: &[
            Here(anthropic::fast_is_held_and_charged_as_a_tier),
            By(BILLS, "a_fast_answer_of_claude_costs_what_its_speed_does"),
        ],
        void: &[Here(anthropic::anthropics_refusals), Here(anthropic::anthropics_failures)],
        ..row("anthropic 9", "speed fast is twice as dear", PC)
    },
    Row {
        hold: &[Here(anthropic::anthropics_tier_is_sent)],
        settle: &[
            Here(anthropic::an_answer_of_another_tier_says_so),
            By(CORE, "a_service_tier_without_a_row_is_an_error_before_and_after"),
        ],
        ..row("anthropic 10", "the priority tier is billed otherwise", PC)
    },
    Row {
        hold: &[
            Here(anthropic::a_prompt_beyond_haikus_threshold_is_held_at_five_times),
            By(CORE, "a_hold_counts_with_a_context_tier_only_when_the_bound_passes_it"),
        ],
        settle: &[By(
            CORE,
            "a_longer_prompt_reprices_the_whole_request_strictly_above_the_threshold",
        )],
        ..row("anthropic 11", "a prompt-length tier multiplies every token", PC)
    },
    Row {
        settle: &[Here(anthropic::a_refusal_at_once_is_free)],
        void: &[By(PROVIDERS, "an_answer_that_anthropic_documents_as_unbilled_costs_nothing")],
        ..row("anthropic 12", "a refusal without output is free", PC)
    },
    Row {
        settle: &[Here(anthropic::a_refusal_after_output_is_billed)],
        void: &[Here(anthropic::a_refusal_after_output_is_billed)],
        ..row("anthropic 13", "a refusal after output is billed", PC)
    },
    Row {
        void: &[Here(anthropic::anthropics_refusals)],
        ..row("anthropic 14", "413, 401, 403, 404 and 429 are refused", PC)
    },
    Row {
        void: &[Here(anthropic::anthropics_refusals)],
        ..row("anthropic 15", "any other 400 with its error body", PC)
    },
    Row {
        settle: &[
            Here(anthropic::anthropics_failures),
            By(PROVIDERS, "an_overloaded_anthropic_is_a_502"),
        ],
        void: &[Here(anthropic::anthropics_failures)],
        ..row("anthropic 16", "529, 500 and 504 may be billed", PC)
    },
    Row {
        settle: &[
            Here(anthropic::an_error_inside_a_stream_leaves_no_usage),
            By(STREAMING, "a_stream_that_breaks_ends_in_an_error_event_and_costs_its_hold"),
        ],
        void: &[Here(anthropic::an_error_inside_a_stream_leaves_no_usage)],
        ..row("anthropic 17", "an error inside a stream", PC)
    },
    Row {
        hold: &[By(STREAMING, "a_caller_who_hangs_up_pays_the_truth")],
        settle: &[By(STREAMING, "a_caller_who_hangs_up_pays_the_truth")],
        void: &[By(STREAMING, "a_caller_who_hangs_up_pays_the_truth")],
        ..row("anthropic 18", "a client that is gone is drained", PC)
    },
    Row {
        hold: &[Here(openai::every_choice_is_capped), Here(others::a_cap_is_sent)],
        settle: &[
            By(USAGE, "classes_are_disjoint_and_add_up"),
            Here(openai::audio_is_held_at_the_models_maximum_and_its_own_price),
        ],
        ..row("openai 1", "caps include reasoning; n multiplies", OA)
    },
    Row {
        hold: &[Here(openai::what_has_no_bound_at_openai_is_refused)],
        settle: &[Here(openai::a_rejected_prediction_is_inside_the_completion)],
        ..row("openai 2", "predictions exclude the cap", OA)
    },
    Row {
        hold: &[
            Here(openai::a_longer_lifetime_of_the_cache_is_refused),
            By(CORE, "a_provider_that_writes_its_cache_unasked_is_held_at_the_write_price"),
        ],
        settle: &[Here(openai::what_is_written_and_read_is_apart_from_the_rest)],
        ..row("openai 3", "5.6 and later write their cache unasked", OA)
    },
    Row {
        hold: &[
            By(RESPONSES, "what_may_cost_more_than_is_held_is_refused_by_name"),
            By(RESPONSES, "bytes_bound_the_prompt_and_what_they_do_not_bound_fills_the_window"),
        ],
        ..row("openai 4", "state, files and templates of the server", OA)
    },
    Row {
        hold: &[
            Here(openai::what_has_no_bound_at_openai_is_refused),
            By(RESPONSES, "searches_are_held_by_their_fees_and_turns"),
            By(RESPONSES, "other_tools_of_the_provider_are_held_by_their_fees"),
            By(HOLDS, "more_calls_of_a_tool_hold_more_and_only_what_is_capped_is_sent"),
        ],
        settle: &[
            Here(openai::a_response_is_charged_however_it_ends),
            Here(openai::files_and_containers_are_charged_by_the_piece),
            By(HOLDS, "a_search_is_counted_and_a_look_into_what_it_found_is_not"),
        ],
        ..row("openai 5", "hosted tools have fees, and each turn reads the prompt anew", OA)
    },
    Row {
        hold: &[Here(openai::agents_of_the_beta_are_not_asked_for)],
        ..row("openai 6", "agents of the beta have no limit", OA)
    },
    Row {
        hold: &[Here(openai::openais_tier_is_sent), Here(openai::other_tiers_are_sent_by_name)],
        settle: &[By(BILLS, "a_tier_is_sent_by_name_and_charged_as_the_answer_names_it")],
        ..row("openai 7", "service_tier auto is the project's", OA)
    },
    Row {
        hold: &[Here(openai::a_long_prompt_is_held_and_charged_at_its_own_price)],
        settle: &[By(
            CORE,
            "a_longer_prompt_reprices_the_whole_request_strictly_above_the_threshold",
        )],
        ..row("openai 8", "beyond 272,000 tokens all is dearer", OA)
    },
    Row {
        hold: &[Here(openai::a_region_is_held_for_and_charged_by_its_host)],
        settle: &[
            Here(openai::a_region_is_held_for_and_charged_by_its_host),
            By(CORE, "the_us_geography_costs_a_tenth_more_on_tokens_and_not_on_fees"),
        ],
        ..row("openai 9", "data residency adds a tenth", OA)
    },
    Row {
        hold: &[By(REQUEST, "an_image_is_held_at_the_most_that_its_provider_states")],
        ..row("openai 10", "images by detail and pixels", OA)
    },
    Row { void: &[Here(openai::openais_refusals)], ..row("openai 11", "a flex 429 is free", OA) },
    Row {
        void: &[
            Here(openai::openais_refusals),
            By(PROVIDERS, "a_busy_provider_costs_nothing_and_its_retry_after_survives"),
        ],
        ..row("openai 12", "401, 403, 404 and other 429", OA)
    },
    Row {
        void: &[Here(openai::openais_refusals), Here(openai::azure_bills_what_it_refuses)],
        ..row("openai 13", "400, 413 and 422 with an error body", OA)
    },
    Row {
        settle: &[
            Here(openai::openais_failures),
            By(PROVIDERS, "a_provider_that_does_not_answer_is_given_up_in_time_and_costs_the_hold"),
        ],
        void: &[
            Here(openai::openais_failures),
            By(
                PROVIDERS,
                "a_provider_that_fails_may_bill_so_the_hold_is_charged_and_nobody_retries",
            ),
        ],
        ..row("openai 14", "5xx and time-outs may be billed", OA)
    },
    Row {
        settle: &[Here(openai::a_response_is_charged_however_it_ends)],
        ..row("openai 15", "an answer that ended early states its usage", OA)
    },
    Row {
        settle: &[
            Here(openai::a_response_without_usage_reports_none),
            By(STREAMING, "a_good_answer_without_usage_costs_its_hold"),
        ],
        void: &[Here(openai::a_response_without_usage_reports_none)],
        ..row("openai 16", "an answer that ended early and states none", OA)
    },
    Row {
        hold: &[Here(openai::usage_of_a_stream_is_asked_for)],
        settle: &[Here(openai::usage_is_read_where_no_done_follows)],
        ..row("openai 17", "the usage of a stream must be asked for", OA)
    },
    Row {
        hold: &[By(STREAMING, "a_caller_who_hangs_up_pays_the_truth")],
        void: &[By(STREAMING, "a_caller_who_hangs_up_pays_the_truth")],
        ..row("openai 18", "a client that is gone is drained", OA)
    },
    Row {
        hold: &[By(RESPONSES, "what_may_cost_more_than_is_held_is_refused_by_name")],
        settle: &[By(RESPONSES, "what_may_cost_more_than_is_held_is_refused_by_name")],
        ..row("openai 19", "background runs on", OA)
    },
    Row {
        settle: &[Here(openai::azure_bills_what_it_refuses)],
        void: &[Here(openai::azure_bills_what_it_refuses)],
        ..row("azure 1", "400 and 408 are billed", MS)
    },
    Row {
        void: &[Here(openai::azure_bills_what_it_refuses)],
        ..row("azure 2", "401 and 429 are not", MS)
    },
    Row {
        settle: &[Here(openai::a_filtered_answer_is_billed)],
        void: &[Here(openai::a_filtered_answer_is_billed)],
        ..row("azure 3", "a content filter in a 200 is billed by usage", MS)
    },
    Row {
        hold: &[
            Here(openai::a_deployment_has_no_price_but_its_own),
            By(REFUSALS, "a_model_without_a_price_is_422"),
        ],
        settle: &[Here(openai::a_deployment_has_no_price_but_its_own)],
        ..row("azure 4", "the deployment decides model, tier and price", MS)
    },
    Row {
        hold: &[Here(openai::azure_is_not_bounded_by_the_window)],
        ..row("azure 5", "a length refusal is not free", MS)
    },
    Row {
        settle: &[
            By(STREAMING, "a_caller_who_hangs_up_pays_the_truth"),
            By(BILLS, "an_answer_of_converse_is_charged_by_its_usage_whole_and_streamed"),
        ],
        void: &[By(STREAMING, "a_caller_who_hangs_up_pays_the_truth")],
        ..row("bedrock 1", "a closed connection is billed in full", AWS)
    },
    Row {
        hold: &[By(BEDROCK, "a_call_is_put_into_converses_words_and_its_model_into_the_path")],
        ..row("bedrock 2", "maxTokens absent is the model's maximum", AWS)
    },
    Row {
        hold: &[Here(others::profiles_are_price_rows)],
        ..row("bedrock 3", "a geographical profile is a tenth dearer", PC)
    },
    Row {
        hold: &[Here(openai::other_tiers_are_sent_by_name)],
        settle: &[By(BEDROCK_USAGE, "what_the_price_does_not_cover_is_said")],
        ..row("bedrock 4", "tiers and optimised latency", AWS)
    },
    Row {
        hold: &[Here(others::guardrails_are_never_asked_for)],
        settle: &[Here(others::what_a_guardrail_blocked_is_charged_by_its_usage)],
        void: &[Here(others::what_a_guardrail_blocked_is_charged_by_its_usage)],
        ..row("bedrock 5", "guardrails have a fee", AWS)
    },
    Row {
        void: &[By(BEDROCK, "only_what_is_refused_before_a_model_runs_is_unbilled")],
        ..row("bedrock 6", "what is refused before a model runs", AWS)
    },
    Row {
        settle: &[
            By(GOLDEN_BEDROCK, "an_exception_inside_a_stream_is_told_and_reports_no_usage"),
            By(STREAMING, "a_stream_that_breaks_ends_in_an_error_event_and_costs_its_hold"),
        ],
        void: &[
            By(BEDROCK, "only_what_is_refused_before_a_model_runs_is_unbilled"),
            By(GOLDEN_BEDROCK, "an_exception_inside_a_stream_is_told_and_reports_no_usage"),
        ],
        ..row("bedrock 7", "408, 424, 5xx and exceptions inside a stream", AWS)
    },
];
