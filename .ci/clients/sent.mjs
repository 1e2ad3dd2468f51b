// What people send by the Node SDKs: images, PDFs, schemas, tools at once, cache marks, and thoughts sent back.
//
//     FAREBOX_ORIGIN=… FAREBOX_KEY=… SENT_PNG=… SENT_PDF=… node sent.mjs
//
// Farebox's providers are the scripted upstream (upstream.py), which judges every request by the types that
// its provider publishes and tells what it saw of it. Each claim is run for a model of each wire format.

import Anthropic from "@anthropic-ai/sdk";
import { zodOutputFormat } from "@anthropic-ai/sdk/helpers/zod";
import { createAnthropic } from "@ai-sdk/anthropic";
import { createOpenAI } from "@ai-sdk/openai";
import { Output, generateText, stepCountIs, streamText, tool } from "ai";
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import OpenAI from "openai";
import { zodResponseFormat, zodTextFormat } from "openai/helpers/zod";
import { z } from "zod";

const { FAREBOX_ORIGIN: origin, FAREBOX_KEY: apiKey, SENT_PNG: png, SENT_PDF: pdf } = process.env;
const [chat, responses] = ["openai/gpt-4.1", "openai/gpt-5.2-codex"];
const [claude, gemini] = ["anthropic/claude-opus-4-8", "gemini/gemini-3-flash-preview"];
const models = [chat, responses, claude, gemini];
const cities = ["Zürich", "São Paulo 🌧"];
const ask = [{ role: "user", content: "What is the weather?" }];
const parameters = { type: "object", properties: { city: { type: "string" } }, required: ["city"] };
const thinks = (model) => model === claude || model === responses;

const hash = (data) => createHash("sha256").update(Buffer.from(data, "base64")).digest("hex");
const media = [["image/png", hash(png)], ["application/pdf", hash(pdf)]];

// Only who gets the schema as it was written can know the first word.
const City = z.object({
  mood: z.enum(["merry-7f3a"]),
  streets: z.array(z.object({ name: z.string(), number: z.number() })),
});
const right = (city) => assert.deepEqual(city, { mood: "merry-7f3a", streets: [{ name: "a text", number: 7.5 }] });

const sawMedia = (text) => assert.deepEqual(JSON.parse(text).media, media);

// Both results came, and the model's own thoughts with them where the client can carry them.
function sawResults(text, model, carries = true) {
  const seen = JSON.parse(text);
  assert.equal(seen.sealed, carries && model !== chat, text);
  // Gemini's results are objects, in which a text stands by itself.
  const plain = (text) => (text.startsWith("{") ? Object.values(JSON.parse(text))[0] : text);
  const results = seen.results.map(([, text]) => plain(text));
  assert.deepEqual(results.sort(), cities.map((city) => `rain in ${city}`).sort());
}

async function openaiChat(model) {
  const client = new OpenAI({ baseURL: `${origin}/v1`, apiKey, maxRetries: 0 });
  const content = [
    { type: "text", text: "What is this?" },
    { type: "image_url", image_url: { url: `data:image/png;base64,${png}` } },
    { type: "file", file: { filename: "a.pdf", file_data: `data:application/pdf;base64,${pdf}` } },
  ];
  const answer = await client.chat.completions.create({ model, messages: [{ role: "user", content }] });
  sawMedia(answer.choices[0].message.content);

  const response_format = zodResponseFormat(City, "city");
  const parsed = await client.chat.completions.parse({ model, messages: ask, response_format });
  right(parsed.choices[0].message.parsed);

  const effort = thinks(model) ? { reasoning_effort: "low" } : {};
  const given = { model, tools: [{ type: "function", function: { name: "weather", parameters } }], ...effort };
  const whole = await client.chat.completions.stream({ ...given, messages: ask }).finalChatCompletion();
  const message = whole.choices[0].message;
  const told = message.tool_calls.map((call) => JSON.parse(call.function.arguments).city);
  assert.deepEqual(told, cities);
  const results = message.tool_calls.map((call, place) => (
    { role: "tool", tool_call_id: call.id, content: `rain in ${cities[place]}` }));
  const { parsed: _, ...said } = message;
  said.tool_calls = said.tool_calls.map(({ index: _, ...call }) => call);
  said.tool_calls.forEach((call) => delete call.function.parsed_arguments);
  const second = await client.chat.completions.create({ ...given, messages: [...ask, said, ...results] });
  sawResults(second.choices[0].message.content, model);
}

async function openaiResponses(model) {
  const client = new OpenAI({ baseURL: `${origin}/v1`, apiKey, maxRetries: 0 });
  const content = [
    { type: "input_text", text: "What is this?" },
    { type: "input_image", detail: "auto", image_url: `data:image/png;base64,${png}` },
    { type: "input_file", filename: "a.pdf", file_data: `data:application/pdf;base64,${pdf}` },
  ];
  const answer = await client.responses.create({ model, input: [{ role: "user", content }] });
  sawMedia(answer.output_text);

  right((await client.responses.parse({ model, input: ask, text: { format: zodTextFormat(City, "city") } })).output_parsed);

  const reasoning = thinks(model) ? { reasoning: { effort: "low" } } : {};
  const given = {
    model, tools: [{ type: "function", name: "weather", parameters, strict: false }], store: false,
    include: ["reasoning.encrypted_content"], ...reasoning,
  };
  const whole = await client.responses.stream({ ...given, input: ask }).finalResponse();
  const calls = whole.output.filter((item) => item.type === "function_call");
  assert.deepEqual(calls.map((call) => JSON.parse(call.arguments).city), cities);
  const results = calls.map((call, place) => (
    { type: "function_call_output", call_id: call.call_id, output: `rain in ${cities[place]}` }));
  const output = whole.output.map(({ parsed_arguments: _, ...item }) => item);
  const second = await client.responses.create({ ...given, input: [...ask, ...output, ...results] });
  sawResults(second.output_text, model);
}

async function anthropicSdk(model) {
  const client = new Anthropic({ baseURL: origin, apiKey, maxRetries: 0 });
  const mark = { cache_control: { type: "ephemeral" } };
  const content = [
    { type: "text", text: "What is this?" },
    { type: "image", source: { type: "base64", media_type: "image/png", data: png } },
    { type: "document", source: { type: "base64", media_type: "application/pdf", data: pdf }, ...mark },
  ];
  const answer = await client.messages.create({ model, max_tokens: 500, messages: [{ role: "user", content }] });
  sawMedia(answer.content.at(-1).text);
  assert.equal(answer.usage.cache_creation_input_tokens ?? 0, model === claude ? 100 : 0);

  const output_config = { format: zodOutputFormat(City) };
  right((await client.messages.parse({ model, max_tokens: 500, messages: ask, output_config })).parsed_output);

  const tools = [{ name: "weather", description: "The weather.", input_schema: parameters }];
  const given = { model, max_tokens: 4000, tools, thinking: { type: "adaptive" } };
  const whole = await client.messages.stream({ ...given, messages: ask }).finalMessage();
  const calls = whole.content.filter((block) => block.type === "tool_use");
  assert.deepEqual(calls.map((call) => call.input.city), cities);
  const results = calls.map((call, place) => (
    { type: "tool_result", tool_use_id: call.id, content: `rain in ${cities[place]}` }));
  const turns = [...ask, { role: "assistant", content: whole.content }, { role: "user", content: results }];
  const second = await client.messages.create({ ...given, messages: turns });
  sawResults(second.content.at(-1).text, model);
}

// The loop of tools is the SDK's own, with whatever it keeps of the model's thoughts.
async function vercel(name, model, providerOptions, carries) {
  const content = [
    { type: "text", text: "What is this?" },
    { type: "file", data: png, mediaType: "image/png" },
    { type: "file", data: pdf, mediaType: "application/pdf", filename: "a.pdf" },
  ];
  const messages = [{ role: "user", content }];
  sawMedia((await generateText({ model, messages, providerOptions, maxRetries: 0 })).text);

  const output = Output.object({ schema: City });
  right((await generateText({ model, prompt: "Which?", output, providerOptions, maxRetries: 0 })).output);

  const weather = tool({
    description: "The weather.", inputSchema: z.object({ city: z.string() }), execute: async ({ city }) => `rain in ${city}`,
  });
  const loop = streamText({
    model, prompt: "What is the weather?", tools: { weather }, stopWhen: stepCountIs(3), providerOptions, maxRetries: 0,
  });
  await loop.consumeStream();
  const steps = await loop.steps;
  assert.deepEqual(steps.map((step) => step.finishReason), ["tool-calls", "stop"]);
  assert.deepEqual(steps[0].toolCalls.map((call) => call.input.city), cities);
  sawResults(await loop.text, name, carries);
}

const effort = (model) => (thinks(model) ? { reasoningEffort: "low", forceReasoning: true } : {});
const openaiAt = createOpenAI({ baseURL: `${origin}/v1`, apiKey });
// Where it does not know a model it asks for JSON by a tool, and for one call at a time, which not every model can promise.
const anthropicAt = createAnthropic({ baseURL: `${origin}/v1`, apiKey, headers: { "x-farebox-drop-params": "true" } });
// Its chat completions keep no thoughts.
const vercelChat = (model) => vercel(model, openaiAt.chat(model), {}, false);
const vercelResponses = (model) => vercel(model, openaiAt.responses(model), {
  openai: { store: false, include: ["reasoning.encrypted_content"], ...effort(model) },
});
const vercelAnthropic = (model) => vercel(model, anthropicAt(model), { anthropic: { thinking: { type: "adaptive" } } });

globalThis.AI_SDK_LOG_WARNINGS = false;
let failed = 0;
for (const claim of [openaiChat, openaiResponses, anthropicSdk, vercelChat, vercelResponses, vercelAnthropic]) {
  for (const model of models) {
    try {
      await claim(model);
      console.log(`ok      ${claim.name} ${model}`);
    } catch (why) {
      failed += 1;
      console.log(`FAILED  ${claim.name} ${model}: ${String(why?.stack ?? why).slice(0, 1500)}`);
    }
  }
}
process.exit(failed ? 1 : 0);
