// OpenAI's and Anthropic's SDKs for JavaScript against a running gateway; prints one line of JSON for each row.
//
// NEXUS_URL and NEXUS_API_KEY say where and as whom. NEXUS_MODEL answers, NEXUS_TOOLS_MODEL calls tools,
// NEXUS_REFUSED_MODEL and NEXUS_OVERLOADED_MODEL fail so, NEXUS_ENDLESS_MODEL streams for long; rows whose model is
// not named are left out. Ends with 1 if a row failed.

import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import Anthropic from "@anthropic-ai/sdk";
import OpenAI from "openai";

const { NEXUS_URL: url, NEXUS_API_KEY: apiKey } = process.env;
assert(url && apiKey, "NEXUS_URL and NEXUS_API_KEY must be set");
const models = {
  plain: process.env.NEXUS_MODEL,
  tools: process.env.NEXUS_TOOLS_MODEL,
  refused: process.env.NEXUS_REFUSED_MODEL,
  overloaded: process.env.NEXUS_OVERLOADED_MODEL,
  endless: process.env.NEXUS_ENDLESS_MODEL,
};
// Answers of the cache say nothing about a provider.
const options = { apiKey, maxRetries: 0, defaultHeaders: { "X-Nexus-Cache": "off" } };
const openai = new OpenAI({ ...options, baseURL: `${url}/v1` });
const anthropic = new Anthropic({ ...options, baseURL: url });

const PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg==";
const PICTURE = `data:image/png;base64,${PIXEL}`;
const SCHEMA = {
  type: "object",
  properties: { city: { type: "string" } },
  required: ["city"],
  additionalProperties: false,
};
const FUNCTION = { name: "weather", description: "The weather in a city", parameters: SCHEMA, strict: true };
const CHAT_TOOLS = [{ type: "function", function: FUNCTION }];
const RESPONSE_TOOLS = [{ type: "function", ...FUNCTION }];
const MESSAGE_TOOLS = [{ name: "weather", description: "The weather in a city", input_schema: SCHEMA }];

const user = (content) => ({ role: "user", content });
const text = () => randomUUID().replaceAll("-", "");
const saysCity = (given) => assert(["Paris", "Oslo"].includes(given.city), JSON.stringify(given));
const saysSun = (said) => assert.match(said ?? "", /Sun/);
const textOf = (message) => message.content.map((block) => block.text ?? "").join("");

const chat = (model, messages, more = {}) => openai.chat.completions.create({ model, messages, ...more });
const respond = (model, input, more = {}) => openai.responses.create({ model, input, ...more });
const message = (model, messages, more = {}) =>
  anthropic.messages.create({ model, messages, max_tokens: 200, ...more });

async function chatTools(ask) {
  const question = user("Weather?");
  const { message } = (await ask({ model: models.tools, messages: [question], tools: CHAT_TOOLS })).choices[0];
  saysCity(JSON.parse(message.tool_calls[0].function.arguments));
  const results = message.tool_calls.map((call) => ({ role: "tool", tool_call_id: call.id, content: "Sun" }));
  const answer = await chat(models.tools, [question, message, ...results], { tools: CHAT_TOOLS });
  saysSun(answer.choices[0].message.content);
}

async function responseTools(ask) {
  const question = user("Weather?");
  const { output } = await ask({ model: models.tools, input: [question], tools: RESPONSE_TOOLS });
  const calls = output.filter((item) => item.type === "function_call");
  saysCity(JSON.parse(calls[0].arguments));
  const results = calls.map((call) => ({ type: "function_call_output", call_id: call.call_id, output: "Sun" }));
  saysSun((await respond(models.tools, [question, ...output, ...results], { tools: RESPONSE_TOOLS })).output_text);
}

async function messageTools(ask) {
  const question = user("Weather?");
  const { content } = await ask({
    model: models.tools, messages: [question], max_tokens: 200, tools: MESSAGE_TOOLS,
  });
  const calls = content.filter((block) => block.type === "tool_use");
  saysCity(calls[0].input);
  const results = calls.map((call) => ({ type: "tool_result", tool_use_id: call.id, content: "Sun" }));
  const history = [question, { role: "assistant", content }, user(results)];
  saysSun(textOf(await message(models.tools, history, { tools: MESSAGE_TOOLS })));
}

async function leave(sdk, stream, isPiece) {
  let left = false;
  try {
    for await (const event of stream) {
      if (isPiece(event)) {
        left = true;
        stream.controller.abort();
      }
    }
  } catch (error) {
    if (!(error instanceof sdk.APIUserAbortError)) throw error;
  }
  assert(left, "no piece came");
}

const fails = (kind, status, ask) =>
  assert.rejects(ask, (error) => {
    assert(error instanceof kind, `${error?.constructor?.name}: ${error?.message}`);
    assert.equal(error.status, status);
    return true;
  });

// Dialect, feature, what the model must do, and the row itself.
const rows = [
  ["openai-chat", "plain", "plain", async (model) => {
    const said = text();
    const answer = await chat(model, [user(said)]);
    assert(answer.choices[0].message.content.includes(said) && answer.usage.total_tokens > 0);
  }],
  ["openai-chat", "stream", "plain", async (model) => {
    const said = text(), pieces = [];
    for await (const chunk of await chat(model, [user(said)], { stream: true })) {
      pieces.push(chunk.choices[0]?.delta.content ?? "");
    }
    assert(pieces.length > 2 && pieces.join("").includes(said));
  }],
  ["openai-chat", "tools", "tools", () => chatTools((asked) => openai.chat.completions.create(asked))],
  ["openai-chat", "streamed tools", "tools", () =>
    chatTools((asked) => openai.chat.completions.stream(asked).finalChatCompletion())],
  ["openai-chat", "image", "plain", async (model) => {
    const picture = { type: "image_url", image_url: { url: PICTURE } };
    assert((await chat(model, [user([{ type: "text", text: "What is it?" }, picture])])).choices[0].message.content);
  }],
  ["openai-chat", "refused", "refused", (model) =>
    fails(OpenAI.BadRequestError, 400, () =>
      chat(model, [user("Weather?")], { tools: CHAT_TOOLS, tool_choice: "required" }))],
  ["openai-chat", "overloaded", "overloaded", (model) =>
    fails(OpenAI.InternalServerError, 502, () => chat(model, [user("Hello")]))],
  ["openai-chat", "cancel", "endless", async (model) =>
    leave(OpenAI, await chat(model, [user("Go on.")], { stream: true }), (chunk) => chunk.choices[0]?.delta.content)],
  ["openai-responses", "plain", "plain", async (model) => {
    const said = text();
    const answer = await respond(model, said);
    assert(answer.output_text.includes(said) && answer.status === "completed");
  }],
  ["openai-responses", "stream", "plain", async (model) => {
    const said = text(), pieces = [];
    const stream = openai.responses.stream({ model, input: said });
    stream.on("response.output_text.delta", (event) => pieces.push(event.delta));
    assert.equal((await stream.finalResponse()).output_text, pieces.join(""));
    assert(pieces.length > 2 && pieces.join("").includes(said));
  }],
  ["openai-responses", "tools", "tools", () => responseTools((asked) => openai.responses.create(asked))],
  ["openai-responses", "streamed tools", "tools", () =>
    responseTools((asked) => openai.responses.stream(asked).finalResponse())],
  ["openai-responses", "image", "plain", async (model) => {
    const picture = { type: "input_image", image_url: PICTURE, detail: "auto" };
    assert((await respond(model, [user([{ type: "input_text", text: "What is it?" }, picture])])).output_text);
  }],
  ["openai-responses", "refused", "refused", (model) =>
    fails(OpenAI.BadRequestError, 400, () =>
      respond(model, "Weather?", { tools: RESPONSE_TOOLS, tool_choice: "required" }))],
  ["openai-responses", "cancel", "endless", async (model) =>
    leave(OpenAI, await respond(model, "Go on.", { stream: true }), (event) =>
      event.type === "response.output_text.delta")],
  ["anthropic-messages", "plain", "plain", async (model) => {
    const said = text();
    const answer = await message(model, [user(said)]);
    assert(textOf(answer).includes(said) && answer.usage.output_tokens > 0);
  }],
  ["anthropic-messages", "stream", "plain", async (model) => {
    const said = text(), pieces = [];
    const stream = anthropic.messages.stream({ model, max_tokens: 200, messages: [user(said)] });
    stream.on("text", (piece) => pieces.push(piece));
    assert.equal(await stream.finalText(), pieces.join(""));
    assert(pieces.length > 2 && pieces.join("").includes(said));
  }],
  ["anthropic-messages", "tools", "tools", () => messageTools((asked) => anthropic.messages.create(asked))],
  ["anthropic-messages", "streamed tools", "tools", () =>
    messageTools((asked) => anthropic.messages.stream(asked).finalMessage())],
  ["anthropic-messages", "image", "plain", async (model) => {
    const picture = { type: "image", source: { type: "base64", media_type: "image/png", data: PIXEL } };
    assert(textOf(await message(model, [user([picture, { type: "text", text: "What is it?" }])])));
  }],
  ["anthropic-messages", "refused", "refused", (model) =>
    fails(Anthropic.BadRequestError, 400, () =>
      message(model, [user("Weather?")], { tools: MESSAGE_TOOLS, tool_choice: { type: "any" } }))],
  ["anthropic-messages", "overloaded", "overloaded", (model) =>
    fails(Anthropic.InternalServerError, 502, () => message(model, [user("Hello")]))],
  ["anthropic-messages", "cancel", "endless", async (model) =>
    leave(Anthropic, await message(model, [user("Go on.")], { stream: true }), (event) =>
      event.type === "content_block_delta")],
];

for (const [dialect, feature, needs, run] of rows) {
  const model = models[needs];
  if (!model) continue;
  let error = "";
  try {
    await run(model);
  } catch (caught) {
    error = String(caught?.stack ?? caught);
    process.exitCode = 1;
  }
  console.log(JSON.stringify({ dialect, feature, model, passed: !error, error }));
}
