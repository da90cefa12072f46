import { readFileSync } from 'node:fs';
import { z } from 'zod';
import { faultsIn } from './api/values.js';
import { httpUrl } from './setting-values.js';

const OLLAMA_PORT = '11434';

/** As in the file of `--caption-endpoints`. */
const endpointSchema = z.strictObject({
  name: z.string().regex(/^[\w.-]{1,64}$/, 'must be 1 to 64 letters, digits and . _ -'),
  url: z.string(),
  /** By default the only one that the server lists. */
  model: z.string().min(1).optional(),
  dialect: z.enum(['openai', 'ollama']).optional(),
  /** Requests at once. */
  concurrency: z.int().min(1).max(64).default(1),
  timeoutSeconds: z.int().min(1).max(3600).default(300),
  /** Of a picture, in pixels. */
  longestSide: z.int().min(64).max(2048).default(1024),
  /** Further fields of the body: servers turn thinking off in different ways. */
  body: z.record(z.string(), z.unknown()).default({}),
  keyEnv: z.string().optional(),
  keyFile: z.string().optional(),
  /** How clips are sent: as frames, or whole as vLLM's `video_url`. */
  video: z.enum(['frames', 'url']).default('frames'),
});

type EndpointSetting = z.output<typeof endpointSchema>;

/** A model server that the operator has named. */
export type CaptionEndpoint = Readonly<ReturnType<typeof captionEndpointOf>>;

/** From `NAME=URL#MODEL`, several of them separated by commas. @throws Error whose message completes "SETTING " */
export function endpointList(text: string): EndpointSetting[] {
  return text.split(',').map((item) => {
    const [, name, url, model] = /^\s*([^=]+)=([^#]+)(?:#(.+))?$/.exec(item.trim()) ?? [];
    if (name === undefined) throw new Error('must be NAME=URL or NAME=URL#MODEL, several of them separated by commas');
    return parsedEndpoint({ name, url, model }, name);
  });
}

/** @throws Error whose message completes "SETTING " */
export function endpointFile(path: string): EndpointSetting[] {
  const given: unknown = JSON.parse(readFileSync(path, 'utf8'));
  if (!Array.isArray(given)) throw new Error(`must name a file with a JSON array of endpoints, and ${path} has none`);
  return given.map((each, i) => parsedEndpoint(each, `endpoint ${i + 1} of ${path}`));
}

function parsedEndpoint(given: unknown, place: string): EndpointSetting {
  const { data, error } = endpointSchema.safeParse(given);
  const [fault] = error === undefined ? [] : faultsIn(error);
  if (data === undefined) throw new Error(`is not valid: ${place}: ${fault?.path} ${fault?.message}`);
  return data;
}

/** @throws Error whose message completes "a caption endpoint " */
export function captionEndpointOf(
  { keyEnv, keyFile, ...given }: EndpointSetting,
  environment: Readonly<Record<string, string | undefined>>,
) {
  const { port, pathname } = new URL(httpUrl(given.url));
  const { dialect = port === OLLAMA_PORT && pathname === '/' ? 'ollama' : 'openai' } = given;
  // Up to `/chat/completions`, or for Ollama up to `/api/chat`. Paths such as `/v1beta/openai` are complete.
  const url = `${httpUrl(given.url)}${dialect === 'openai' && pathname === '/' ? '/v1' : ''}`;
  // Never logged or answered.
  const key = keyFile === undefined ? environment[keyEnv ?? ''] : readFileSync(keyFile, 'utf8').trim();
  if (keyEnv !== undefined && !key) throw new Error(`has the keyEnv ${keyEnv}, and that variable is not set`);
  return { ...given, url, dialect, key };
}
