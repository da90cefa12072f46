import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';

/*
 * What vLLM, llama.cpp, LM Studio and Ollama answer, right and wrong, replayed. llama.cpp's answers are those of its llama-server of
 * 11 June 2026 (ggml-org/llama.cpp 18ef86ec). The others were not run: each answer is copied from the source that its line names.
 */

export type Dialect = 'vllm' | 'llama.cpp' | 'lm-studio' | 'ollama';

interface Reply {
  readonly status?: number;
  readonly headers?: Record<string, string>;
  /** A text as it is, or else JSON. */
  readonly body: unknown;
}

/** A request that the server got. */
interface ModelRequest {
  readonly path: string;
  readonly authorization: string | undefined;
  readonly body: Record<string, unknown>;
  /** SHA-256 of the pictures that were shown, and the pictures. */
  readonly pictures: readonly Buffer[];
  readonly prompt: string;
}

const MODEL = 'test-vl';

/** OpenAI's chat completions; `content` may be null or empty (https://platform.openai.com/docs/api-reference/chat/object). */
const openai = (message: object, finish_reason = 'stop'): Reply => ({
  body: { model: MODEL, choices: [{ index: 0, message: { role: 'assistant', ...message }, finish_reason }], usage: {} },
});

/** Ollama's `/api/chat` (https://github.com/ollama/ollama/blob/main/docs/api.md#generate-a-chat-completion). */
const ollama = (message: object, done_reason = 'stop'): Reply => ({
  body: { model: MODEL, message: { role: 'assistant', ...message }, done: true, done_reason },
});

const written = (dialect: Dialect, content: string, finish = 'stop') =>
  dialect === 'ollama' ? ollama({ content }, finish) : openai({ content }, finish);

/** Where a thought is: vLLM's `reasoning` (older: `reasoning_content`), llama.cpp's and LM Studio's `reasoning_content`, Ollama's `thinking`. */
const thought = (dialect: Dialect, words: string, content: string, finish: string): Reply => {
  if (dialect === 'ollama') return ollama({ content, thinking: words }, finish);
  return openai({ content, [dialect === 'vllm' ? 'reasoning' : 'reasoning_content']: words }, finish);
};

/** How a dialect has the words of an error. */
const failing = (dialect: Dialect, status: number, message: string, type = 'invalid_request_error'): Reply => {
  switch (dialect) {
    case 'vllm': // vllm-project/vllm #28385: newer versions; before, `{"object":"error","message","code"}`.
      return { status, body: { error: { message, type: 'BadRequestError', param: null, code: status } } };
    case 'llama.cpp':
      return { status, body: { error: { code: status, message, type } } };
    case 'lm-studio': // A text: lmstudio-ai/lmstudio-bug-tracker, HartsyAI/SwarmUI-MagicPromptExtension #51.
    case 'ollama': // A text: ollama/ollama docs/api.md.
      return { status, body: { error: message } };
  }
};

const NO_VISION: Record<Dialect, Reply> = {
  // vllm-project/vllm #23402.
  vllm: failing('vllm', 400, `/models/${MODEL} is not a multimodal model`),
  'llama.cpp': failing(
    'llama.cpp',
    500,
    'image input is not supported - hint: if this is unexpected, you may need to provide the mmproj',
    'server_error',
  ),
  // lmstudio-ai/lmstudio-bug-tracker #1006.
  'lm-studio': failing('lm-studio', 400, 'Vision add-on is not loaded, but images were provided for processing'),
  // ollama/ollama model/model.go, ErrNoVisionModel.
  ollama: failing('ollama', 500, 'this model is missing data required for image input'),
};

const MODEL_MISSING: Record<Dialect, Reply> = {
  // vllm-project/vllm vllm/entrypoints/openai, older form.
  vllm: { status: 404, body: { object: 'error', message: `The model \`${MODEL}\` does not exist.`, code: 404 } },
  // Of its router; with one model, it answers under any name.
  'llama.cpp': failing('llama.cpp', 400, `model '${MODEL}' not found`),
  // pictaria-ai/pictaria-server #5.
  'lm-studio': failing(
    'lm-studio',
    404,
    "No models loaded. Please load a model in the developer page or use the 'lms load' command.",
  ),
  // ollama/ollama server/routes.go.
  ollama: failing('ollama', 404, `model '${MODEL}' not found`),
};

const CONTEXT: Record<Dialect, Reply> = {
  vllm: failing('vllm', 400, "This model's maximum context length is 2048 tokens. However, you requested 2900 tokens"),
  'llama.cpp': failing(
    'llama.cpp',
    400,
    'request (2892 tokens) exceeds the available context size (2048 tokens), try increasing it',
    'exceed_context_size_error',
  ),
  // n4ze3m/page-assist #356.
  'lm-studio': failing(
    'lm-studio',
    400,
    'Trying to keep the first 6547 tokens when context overflows. However, the model is loaded with a context length of only 4096 tokens',
  ),
  // Ollama cuts the tokens of the picture silently, and answers without a text.
  ollama: ollama({ content: '' }),
};

const IMAGE_REJECTED: Record<Dialect, Reply> = {
  // vllm-project/vllm #13513.
  vllm: failing('vllm', 400, 'At most 1 image(s) may be provided in one request.'),
  'llama.cpp': failing('llama.cpp', 400, 'Failed to load image or audio file'),
  // HartsyAI/SwarmUI-MagicPromptExtension #51.
  'lm-studio': failing('lm-studio', 400, "'url' field must be a base64 encoded image."),
  ollama: failing('ollama', 400, 'invalid image input'),
};

/** OpenAI's stream, which proxies send in spite of `stream: false` (AnimaLoraStudio #88); Ollama's is lines of JSON. */
const streamed = (dialect: Dialect, content: string): Reply => {
  const words = content.split(/(?<= )/);
  if (dialect === 'ollama') {
    const lines = words.map((word) => JSON.stringify({ message: { content: word }, done: false }));
    return {
      body: [...lines, JSON.stringify({ message: { content: '' }, done: true, done_reason: 'stop' })].join('\n'),
    };
  }
  const event = (choice: object) => `data: ${JSON.stringify({ choices: [choice] })}\n\n`;
  const first = event({ delta: { role: 'assistant', content: null }, finish_reason: null });
  const body = words.map((word) => event({ delta: { content: word }, finish_reason: null })).join('');
  const end = `${event({ delta: {}, finish_reason: 'stop' })}data: [DONE]\n\n`;
  return { headers: { 'content-type': 'text/event-stream' }, body: `: ping\n\n${first}${body}${end}` };
};

/** What a server answers to a request, by mode. */
export const REPLIES = {
  'writes a caption': (dialect: Dialect, content: string) => written(dialect, content),
  'writes with decoration': (dialect: Dialect, content: string) =>
    written(
      dialect,
      `<think>The user wants…</think>\nHere is a caption for the image:\n\n\`\`\`text\n"${content}"\n\`\`\``,
    ),
  'thinks aside': (dialect: Dialect, content: string) => thought(dialect, 'Let me look.', content, 'stop'),
  'has no first tag': (dialect: Dialect, content: string) => written(dialect, `I look.\n</think>\n\n${content}`),
  streams: streamed,
  'is cut off': (dialect: Dialect, content: string) => written(dialect, content, 'length'),
  'thinks too long': (dialect: Dialect) => thought(dialect, 'Let me look again.', '', 'length'),
  'thinks too long inline': (dialect: Dialect) => written(dialect, '<think>Let me look again.', 'length'),
  'is silent': (dialect: Dialect) => written(dialect, '  \n'),
  refuses: (dialect: Dialect) => written(dialect, 'I\u2019m sorry, but I can\u2019t help with that.'),
  filters: () => openai({ content: null }, 'content_filter'),
  "can't see": (dialect: Dialect) => NO_VISION[dialect],
  'rejects the picture': (dialect: Dialect) => IMAGE_REJECTED[dialect],
  'has a small context': (dialect: Dialect) => CONTEXT[dialect],
  'lacks the model': (dialect: Dialect) => MODEL_MISSING[dialect],
  'rejects the key': (dialect: Dialect) => failing(dialect, 401, 'Incorrect API key provided: sk-secret'),
  // llama.cpp's answer while it loads, and a proxy's limit.
  loads: () => ({ status: 503, body: { error: { code: 503, message: 'Loading model', type: 'unavailable_error' } } }),
  'is busy': () => ({
    status: 429,
    headers: { 'retry-after': '2.98765432' },
    body: { error: { message: 'Too many requests' } },
  }),
  'rejects the key in a success': () => ({ body: { error: 'Incorrect API key provided: sk-secret' } }),
  'writes too much': (dialect: Dialect) => written(dialect, 'a wagon '.repeat(10_000)),
  'dies in a stream': (dialect: Dialect, content: string) => {
    const { body, ...reply } = streamed(dialect, content);
    return { ...reply, body: (body as string).split('\n').slice(0, -5).join('\n') };
  },
  redirects: () => ({ status: 307, headers: { location: 'http://127.0.0.1:9/' }, body: '' }),
  'is another web server': () => ({ body: '<html>It works!</html>' }),
  fails: (dialect: Dialect) => failing(dialect, 500, 'CUDA out of memory', 'server_error'),
} satisfies Record<string, (dialect: Dialect, content: string) => Reply>;

export type Mode = keyof typeof REPLIES;

export interface DialectServer {
  /** For `--caption-endpoint`, with the model. */
  readonly setting: string;
  readonly url: string;
  /** Questions, without lists of models. */
  readonly asked: ModelRequest[];
  /** How it answers from now on. `drop`: it closes the connection; `hang`: it never answers. */
  mode: Mode | 'drop' | 'hang' | ((request: ModelRequest, index: number) => Mode | 'drop' | 'hang' | Promise<Mode>);
  /** The caption of a picture; by default words that depend on the picture and the prompt. */
  caption: (request: ModelRequest) => string;
  /** Instead of the list of models. */
  models: object | undefined;
  readonly close: () => Promise<void>;
}

/** The words that the model writes of a picture by default. */
export function captionOf({ pictures, prompt }: Pick<ModelRequest, 'pictures' | 'prompt'>): string {
  const digest = createHash('sha256').update(prompt);
  for (const picture of pictures) digest.update(picture);
  return `a picture numbered ${digest.digest('hex').slice(0, 8)}`;
}

/** Starts a server that answers as a model server of this dialect does. */
export async function startDialectServer(dialect: Dialect): Promise<DialectServer> {
  const asked: ModelRequest[] = [];
  const server = createServer(async (request, response) => {
    const body = JSON.parse((await text(request).catch(() => '')) || '{}') as Record<string, unknown>;
    const path = request.url ?? '';
    const listed = listOf(dialect, path);
    if (listed !== undefined) return send(response, { body: result.models ?? listed });
    const { authorization } = request.headers;
    const question = { path, authorization, body, ...shownIn(body) };
    const index = asked.push(question) - 1;
    const { mode } = result;
    const chosen = typeof mode === 'function' ? await mode(question, index) : mode;
    if (chosen === 'drop') return void request.socket.destroy();
    if (chosen !== 'hang') send(response, REPLIES[chosen](dialect, result.caption(question)));
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const { port } = server.address() as AddressInfo;
  const url = `http://127.0.0.1:${port}${dialect === 'ollama' ? '' : '/v1'}`;
  const result: DialectServer = {
    ...{ url, asked, mode: 'writes a caption', caption: captionOf, models: undefined },
    setting: `${url}#${MODEL}`,
    close: async () => {
      server.closeAllConnections();
      server.close();
      if (server.listening) await once(server, 'close');
    },
  };
  return result;
}

function send(response: ServerResponse, { status = 200, headers, body }: Reply): void {
  const content = typeof body === 'string' ? body : JSON.stringify(body);
  response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(content);
}

/** The lists of models, and what they tell of vision. */
function listOf(dialect: Dialect, path: string): object | undefined {
  // ollama/ollama docs/api.md.
  if (path === '/api/tags') return { models: [{ name: MODEL }, { name: 'other' }] };
  if (path === '/api/show') return { capabilities: ['completion', 'vision', 'thinking'] };
  if (path !== '/v1/models') return undefined;
  const bundled = dialect === 'lm-studio' ? [{ id: 'text-embedding-nomic-embed-text-v1.5', object: 'model' }] : [];
  const data = [{ id: MODEL, object: 'model' }, ...bundled];
  // The others say nothing of vision.
  if (dialect === 'llama.cpp') return { models: [{ name: MODEL, capabilities: ['completion', 'multimodal'] }], data };
  return { object: 'list', data };
}

function shownIn(body: Record<string, unknown>): Pick<ModelRequest, 'pictures' | 'prompt'> {
  const [message] = (body.messages ?? []) as { content: unknown; images?: string[] }[];
  if (typeof message?.content === 'string') {
    const pictures = (message.images ?? []).map((image) => Buffer.from(image, 'base64'));
    return { prompt: message.content, pictures };
  }
  const parts = (message?.content ?? []) as {
    text?: string;
    image_url?: { url: string };
    video_url?: { url: string };
  }[];
  const urls = parts.flatMap(({ image_url, video_url }) => (image_url ?? video_url)?.url ?? []);
  const pictures = urls.map((url) => Buffer.from(url.replace(/^data:[^,]*,/, ''), 'base64'));
  return { prompt: parts.flatMap((part) => part.text ?? []).join(''), pictures };
}
