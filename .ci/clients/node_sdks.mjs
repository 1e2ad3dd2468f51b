// The official Node SDKs and the Vercel AI SDK against a running Farebox.
//
//     FAREBOX_ORIGIN=… FAREBOX_KEY=… node node_sdks.mjs

import Anthropic from "@anthropic-ai/sdk";
import { createAnthropic } from "@ai-sdk/anthropic";
import { createOpenAI } from "@ai-sdk/openai";
import { generateText, stepCountIs, streamText, tool } from "ai";
import assert from "node:assert/strict";
import OpenAI from "openai";
import { z } from "zod";

const { FAREBOX_ORIGIN: origin, FAREBOX_KEY: apiKey } = process.env;
const models = ["demo/claude", "demo/chat"];
const hello = [{ role: "user", content: "Say hello." }];
const parameters = { type: "object", properties: { city: { type: "string" } }, required: ["city"] };
const weather = tool({
  description: "The weather of a city.",
  inputSchema: z.object({ city: z.string() }),
  execute: async ({ city }) => `sunny in ${city}`,
});

async function anthropicSdk(model) {
  const client = new Anthropic({ baseURL: origin, apiKey, maxRetries: 0 });
  const message = await client.messages.create({ model, max_tokens: 64, messages: hello });
  assert.equal(message.stop_reason, "end_turn");
  assert.ok(message.content[0].text && message.usage.output_tokens > 0);

  const tools = [{ name: "weather", description: "d", input_schema: parameters }];
  const stream = client.messages.stream({ model, max_tokens: 200, messages: hello, tools, tool_choice: { type: "any" } });
  const whole = await stream.finalMessage();
  assert.equal(whole.stop_reason, "tool_use");
  assert.ok("city" in whole.content.at(-1).input);

  const wrong = client.messages.create({ model, max_tokens: -1, messages: hello });
  await assert.rejects(wrong, (error) => error instanceof Anthropic.BadRequestError);
}

async function openaiSdk(model) {
  const client = new OpenAI({ baseURL: `${origin}/v1`, apiKey, maxRetries: 0 });
  const answer = await client.chat.completions.create({ model, messages: hello, max_tokens: 64 });
  assert.equal(answer.choices[0].finish_reason, "stop");
  assert.ok(answer.usage.total_tokens > 0);

  const tools = [{ type: "function", function: { name: "weather", parameters } }];
  const runner = client.chat.completions.stream({
    model, messages: hello, max_tokens: 200, tools, tool_choice: "required", stream_options: { include_usage: true },
  });
  const whole = await runner.finalChatCompletion();
  assert.equal(whole.choices[0].finish_reason, "tool_calls");
  assert.ok("city" in JSON.parse(whole.choices[0].message.tool_calls[0].function.arguments));
  assert.ok(whole.usage.total_tokens > 0);

  const wrong = client.chat.completions.create({ model: "demo/no-such-model", messages: hello });
  await assert.rejects(wrong, (error) => error instanceof OpenAI.NotFoundError);
}

async function openaiResponses(model) {
  const client = new OpenAI({ baseURL: `${origin}/v1`, apiKey, maxRetries: 0 });
  const response = await client.responses.create({ model, input: "Say hello.", max_output_tokens: 64 });
  assert.equal(response.status, "completed");
  assert.ok(response.output_text && response.usage.total_tokens > 0);

  const stream = await client.responses.create({ model, input: "Say hello.", max_output_tokens: 64, stream: true });
  let [text, last] = ["", undefined];
  for await (const event of stream) {
    if (event.type === "response.output_text.delta") text += event.delta;
    last = event;
  }
  assert.equal(last.type, "response.completed");
  assert.equal(text, last.response.output[0].content[0].text);

  const tools = [{ type: "function", name: "weather", parameters, strict: false }];
  const runner = client.responses.stream({ model, input: "Berlin?", max_output_tokens: 200, tools, tool_choice: "required" });
  const whole = await runner.finalResponse();
  const call = whole.output.find((item) => item.type === "function_call");
  assert.ok("city" in JSON.parse(call.arguments));

  const input = [...whole.output, { type: "function_call_output", call_id: call.call_id, output: "sunny" }];
  const second = await client.responses.create({ model, input, max_output_tokens: 64, tools });
  assert.ok(second.output_text, JSON.stringify(second));

  const wrong = client.responses.create({ model: "demo/no-such-model", input: "x" });
  await assert.rejects(wrong, (error) => error instanceof OpenAI.NotFoundError);
}

async function vercel(model) {
  const answer = await generateText({ model, prompt: "Say hello.", maxRetries: 0 });
  assert.ok(answer.text && answer.usage.totalTokens > 0);
  assert.equal(answer.finishReason, "stop");

  const stream = streamText({ model, prompt: "Say hello.", maxRetries: 0 });
  let text = "";
  for await (const part of stream.textStream) text += part;
  assert.ok(text && (await stream.usage).totalTokens > 0);

  const loop = await generateText({
    model, prompt: "What is the weather in Berlin?", tools: { weather }, toolChoice: "auto",
    stopWhen: stepCountIs(3), maxRetries: 0, prepareStep: ({ stepNumber }) => ({
      toolChoice: stepNumber === 0 ? "required" : "auto",
    }),
  });
  assert.equal(loop.steps[0].finishReason, "tool-calls");
  assert.ok(loop.steps.length === 2 && loop.text, JSON.stringify(loop.steps.map((step) => step.finishReason)));
}

const vercelAnthropic = (model) => vercel(createAnthropic({ baseURL: `${origin}/v1`, apiKey })(model));
const vercelOpenai = (model) => vercel(createOpenAI({ baseURL: `${origin}/v1`, apiKey }).chat(model));

let failed = 0;
for (const claim of [anthropicSdk, openaiSdk, openaiResponses, vercelAnthropic, vercelOpenai]) {
  for (const model of models) {
    try {
      await claim(model);
      console.log(`ok      ${claim.name} ${model}`);
    } catch (why) {
      failed += 1;
      console.log(`FAILED  ${claim.name} ${model}: ${why?.stack ?? why}`);
    }
  }
}
process.exit(failed ? 1 : 0);
