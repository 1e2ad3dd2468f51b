//! The rows: the order is that of the surveys.

use crate::Row;
use crate::Shown::{By, Here, Not};
use crate::{anthropic, openai, others};

const PC: &str = "platform.claude.com/docs";
const OA: &str = "developers.openai.com/api/docs";
const MS: &str = "learn.microsoft.com/azure/ai-foundry/openai/how-to/manage-costs";
const AWS: &str = "docs.aws.amazon.com/bedrock";
const REQUEST: &str = "shared/providers/tests/request.rs";
const GEMINI: &str = "shared/providers/tests/gemini.rs";
const CORE: &str = "shared/core/tests/pricing.rs";
const USAGE: &str = "shared/providers/src/openai/usage.rs";

/// Every row.
pub const ROWS: &[Row] = &[
    // Anthropic.
    ("anthropic", "thinking is inside max_tokens", PC, Here(anthropic::thinking_is_inside_the_cap)),
    (
        "anthropic",
        "a prompt beyond the window is refused",
        PC,
        Here(anthropic::the_window_bounds_claude),
    ),
    (
        "anthropic",
        "tools add a preamble of up to 804 tokens",
        PC,
        Here(anthropic::tools_add_a_preamble),
    ),
    (
        "anthropic",
        "typed tools, MCP, containers, skills",
        PC,
        Here(anthropic::what_anthropic_hides_is_refused),
    ),
    (
        "anthropic",
        "an image has at most 4,784 tokens",
        PC,
        By(REQUEST, "an_image_is_held_at_the_most_that_its_provider_states"),
    ),
    (
        "anthropic",
        "server tools sample many times, and a search has a fee",
        PC,
        Here(anthropic::server_tools_are_held_for_every_sampling),
    ),
    (
        "anthropic",
        "cache writes at 1.25 and 2 times, split by lifetime",
        PC,
        By(
            "shared/providers/src/anthropic/usage.rs",
            "a_write_is_split_by_lifetime_and_an_untold_one_is_the_dearer",
        ),
    ),
    (
        "anthropic",
        "iterations outside the sums",
        PC,
        By(
            "shared/providers/src/anthropic/usage.rs",
            "compaction_is_added_and_another_model_charges_the_hold",
        ),
    ),
    (
        "anthropic",
        "inference_geo us is a tenth dearer",
        PC,
        Here(anthropic::the_us_geography_is_held),
    ),
    (
        "anthropic",
        "speed fast is twice as dear",
        PC,
        Here(anthropic::fast_is_held_and_charged_as_a_tier),
    ),
    (
        "anthropic",
        "priority tier is billed otherwise",
        PC,
        Here(anthropic::anthropics_tier_is_sent),
    ),
    (
        "anthropic",
        "a prompt-length tier multiplies every token",
        PC,
        By(CORE, "a_longer_prompt_reprices_the_whole_request_strictly_above_the_threshold"),
    ),
    (
        "anthropic",
        "a refusal without output is free",
        PC,
        Here(anthropic::a_refusal_at_once_is_free),
    ),
    (
        "anthropic",
        "a refusal after output is billed",
        PC,
        Here(anthropic::a_refusal_after_output_is_billed),
    ),
    (
        "anthropic",
        "413, 401, 403, 404 and 429 are refused",
        PC,
        Here(anthropic::anthropics_refusals),
    ),
    ("anthropic", "529, 500 and 504 may be billed", PC, Here(anthropic::anthropics_failures)),
    (
        "anthropic",
        "an error inside a stream",
        PC,
        By("shared/providers/tests/golden.rs", "every_split_of_a_stream_gives_its_events"),
    ),
    (
        "anthropic",
        "a client that is gone is drained",
        PC,
        By("tests/it/streaming.rs", "a_caller_who_hangs_up_pays_the_truth"),
    ),
    // OpenAI.
    ("openai", "caps include reasoning; n multiplies", OA, Here(openai::every_choice_is_capped)),
    (
        "openai",
        "predictions exclude the cap",
        OA,
        Here(openai::what_has_no_bound_at_openai_is_refused),
    ),
    (
        "openai",
        "5.6 and later write their cache unasked",
        OA,
        By(CORE, "a_provider_that_writes_its_cache_unasked_is_held_at_the_write_price"),
    ),
    (
        "openai",
        "state, files and templates of the server",
        OA,
        By(
            "shared/providers/tests/responses.rs",
            "what_may_cost_more_than_is_held_is_refused_by_name",
        ),
    ),
    ("openai", "hosted tools", OA, Here(openai::what_has_no_bound_at_openai_is_refused)),
    (
        "openai",
        "a search has a fee, and each turn reads the prompt anew",
        OA,
        By("shared/providers/tests/responses.rs", "searches_are_held_by_their_fees_and_turns"),
    ),
    (
        "openai",
        "audio in an answer has a price of its own",
        OA,
        Here(openai::audio_is_held_at_the_models_maximum_and_its_own_price),
    ),
    ("openai", "other tiers are held and sent", OA, Here(openai::other_tiers_are_sent_by_name)),
    ("openai", "service_tier auto is the project's", OA, Here(openai::openais_tier_is_sent)),
    (
        "openai",
        "beyond 272,000 tokens all is dearer",
        OA,
        By(CORE, "a_longer_prompt_reprices_the_whole_request_strictly_above_the_threshold"),
    ),
    (
        "openai",
        "data residency adds a tenth",
        OA,
        Not("nothing in request or answer says it: an owner sets the prices of such a project"),
    ),
    (
        "openai",
        "images by detail and pixels",
        OA,
        By(REQUEST, "an_image_is_held_at_the_most_that_its_provider_states"),
    ),
    ("openai", "a flex 429 is free", OA, Here(openai::openais_refusals)),
    ("openai", "401, 403, 404 and other 429", OA, Here(openai::openais_refusals)),
    ("openai", "400, 413 and 422 with an error body", OA, Here(openai::openais_refusals)),
    ("openai", "5xx and time-outs may be billed", OA, Here(openai::openais_failures)),
    ("openai", "a stream's usage is asked for", OA, Here(openai::usage_of_a_stream_is_asked_for)),
    (
        "openai",
        "background runs on",
        OA,
        By(
            "shared/providers/tests/responses.rs",
            "what_may_cost_more_than_is_held_is_refused_by_name",
        ),
    ),
    (
        "openai",
        "embeddings bill prompt tokens alone",
        OA,
        By("shared/providers/tests/texts.rs", "an_embedding_goes_as_it_is_and_holds_no_completion"),
    ),
    // Azure.
    ("azure", "400 and 408 are billed", MS, Here(openai::azure_bills_what_it_refuses)),
    ("azure", "401 and 429 are not", MS, Here(openai::azure_bills_what_it_refuses)),
    (
        "azure",
        "a content filter in a 200 is billed by usage",
        MS,
        Here(openai::a_filtered_answer_is_billed),
    ),
    (
        "azure",
        "the deployment decides model and price",
        MS,
        Not("a deployment's name without a price row is price_unknown: tests/it/refusals.rs"),
    ),
    ("azure", "a length refusal is not free", MS, Here(openai::azure_is_not_bounded_by_the_window)),
    // Bedrock.
    (
        "bedrock",
        "a closed connection is billed in full",
        AWS,
        By("tests/it/streaming.rs", "a_caller_who_hangs_up_pays_the_truth"),
    ),
    (
        "bedrock",
        "maxTokens absent is the model's maximum",
        AWS,
        By(
            "shared/providers/tests/bedrock.rs",
            "a_call_is_put_into_converses_words_and_its_model_into_the_path",
        ),
    ),
    (
        "bedrock",
        "a geographical profile is a tenth dearer",
        PC,
        Here(others::profiles_are_price_rows),
    ),
    (
        "bedrock",
        "tiers and optimised latency",
        AWS,
        By("shared/providers/src/bedrock/usage.rs", "what_the_price_does_not_cover_is_said"),
    ),
    (
        "bedrock",
        "guardrails have a fee",
        AWS,
        Not("guardrailConfig is never sent; one that an account enforces is on its own bill"),
    ),
    (
        "bedrock",
        "what is refused before a model runs",
        AWS,
        By(
            "shared/providers/tests/bedrock.rs",
            "only_what_is_refused_before_a_model_runs_is_unbilled",
        ),
    ),
    (
        "bedrock",
        "exceptions inside a stream",
        AWS,
        By(
            "shared/providers/tests/golden/bedrock.rs",
            "an_exception_inside_a_stream_is_told_and_reports_no_usage",
        ),
    ),
    // The others.
    (
        "all",
        "an explicit cap is always sent",
        "billing survey, section 14",
        Here(others::a_cap_is_sent),
    ),
    (
        "all",
        "a retry is a new generation",
        "billing survey, section 14",
        By(
            "tests/it/providers.rs",
            "a_provider_that_fails_may_bill_so_the_hold_is_charged_and_nobody_retries",
        ),
    ),
    ("all", "an error inside a 200", "billing survey, section 14", Here(others::an_error_in_a_200)),
    (
        "gemini",
        "400 and 500 are free by page",
        "ai.google.dev/gemini-api/docs/billing",
        Here(others::googles_failures),
    ),
    (
        "gemini",
        "thoughts are output",
        "ai.google.dev/gemini-api/docs/thinking",
        By("shared/providers/src/gemini/usage.rs", "classes_are_disjoint_and_add_up"),
    ),
    (
        "gemini",
        "searches by the query have no cap",
        "ai.google.dev/gemini-api/docs/pricing",
        By(GEMINI, "what_costs_money_in_a_callers_own_body_is_bounded_or_refused_by_name"),
    ),
    (
        "gemini",
        "one fee for a grounded prompt of 2.5 and older",
        "ai.google.dev/gemini-api/docs/pricing",
        By(GEMINI, "a_grounded_prompt_of_an_older_model_is_held_with_its_one_fee"),
    ),
    (
        "gemini",
        "priority and flex are tiers of their own",
        "ai.google.dev/gemini-api/docs/priority-inference",
        Here(openai::other_tiers_are_sent_by_name),
    ),
    (
        "vertexai",
        "only a 200 is billed",
        "cloud.google.com/vertex-ai/generative-ai/pricing",
        Here(others::googles_failures),
    ),
    (
        "google",
        "cache storage by the hour",
        "ai.google.dev/gemini-api/docs/pricing",
        Not("cachedContents cannot be made through Farebox"),
    ),
    ("xai", "a 403 is a fee", "docs.x.ai/docs/pricing", Here(others::xais_refusals)),
    (
        "xai",
        "chat's cap leaves reasoning out",
        "xai-org/xai-proto chat.proto",
        By(REQUEST, "reasoning_outside_the_cap_is_held"),
    ),
    (
        "xai",
        "the stated cost is exact",
        "docs.x.ai/developers/cost-tracking",
        By(USAGE, "a_stated_cost_is_read_where_the_row_says_so"),
    ),
    (
        "deepseek",
        "prices by the clock",
        "api-docs.deepseek.com/quick_start/pricing",
        By(CORE, "a_hold_counts_with_the_peak_whatever_the_time"),
    ),
    (
        "deepseek",
        "comments before admission, then a close",
        "api-docs.deepseek.com rate_limit",
        Here(others::comments_alone_are_no_usage),
    ),
    (
        "mistral",
        "cached tokens in four spellings, once",
        "mistralai openapi.yaml",
        Here(others::mistrals_cached_tokens_count_once),
    ),
    (
        "mistral",
        "n multiplies the output alone",
        "mistralai openapi.yaml",
        Here(openai::every_choice_is_capped),
    ),
    (
        "cohere",
        "billed_units, never tokens",
        "how-does-cohere-pricing-work.mdx",
        Here(others::cohere_bills_its_billed_units),
    ),
    ("cohere", "499 is our own cancel", "cohere errors.mdx", Here(others::coheres_failures)),
    (
        "groq",
        "compound runs many models",
        "console.groq.com/docs/compound",
        By("shared/providers/src/provider.rs", "models_without_a_bound_are_known_by_name"),
    ),
    (
        "groq",
        "x_groq carries usage and errors",
        "groq/groq-python",
        By("shared/providers/tests/golden.rs", "every_split_of_a_stream_gives_its_events"),
    ),
    (
        "groq",
        "498 has no capacity",
        "console.groq.com/docs/flex-processing",
        Here(others::groqs_498),
    ),
    (
        "together",
        "cached in two shapes",
        "docs.together.ai openai-compatibility",
        Here(others::mistrals_cached_tokens_count_once),
    ),
    (
        "openrouter",
        "usage.cost, and the upstream's under BYOK",
        "openrouter usage-accounting.mdx",
        By(USAGE, "a_stated_cost_is_read_where_the_row_says_so"),
    ),
    (
        "openrouter",
        "routers and searches by suffix",
        "openrouter plugins/web-search.mdx",
        By("shared/providers/src/provider.rs", "models_without_a_bound_are_known_by_name"),
    ),
    (
        "openrouter",
        "a cut stream is told by /generation",
        "openrouter streaming.mdx",
        Not("it is not asked: a cut stream charges the hold"),
    ),
    (
        "perplexity",
        "total_cost",
        "perplexity-py usage_info.py",
        By(USAGE, "a_stated_cost_is_read_where_the_row_says_so"),
    ),
    (
        "perplexity",
        "deep research has no bound",
        "docs.perplexity.ai pricing",
        By("shared/providers/src/provider.rs", "models_without_a_bound_are_known_by_name"),
    ),
    (
        "fireworks",
        "the mode is in the model's id",
        "docs.fireworks.ai/serverless/pricing",
        Not("an id without a price row is price_unknown; no tier is sent"),
    ),
    (
        "fireworks",
        "503 before a body",
        "docs.fireworks.ai/serverless/rate-limits",
        Here(others::no_5xx_of_the_compatible_is_void),
    ),
    (
        "cerebras",
        "the cap holds reasoning; an error chunk",
        "cerebras-cloud-sdk-python",
        Here(others::an_error_in_a_200),
    ),
    (
        "self-hosted",
        "no cap is endless; [DONE] after an error",
        "vLLM, llama.cpp, ollama",
        Here(others::an_error_in_a_200),
    ),
];
