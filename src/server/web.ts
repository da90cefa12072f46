import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import statics from '@fastify/static';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { BASE_PATH } from '../api/limits.js';
import { CLI_PACKAGE_PATH } from '../command-line.js';
import { PACKAGE_FOLDER } from '../version.js';

/** Made by `npm run build`. */
const FOLDER = join(PACKAGE_FOLDER, 'dist/web');
const COMMAND_FOLDER = join(PACKAGE_FOLDER, 'dist/package');

const IMMUTABLE = 'public, max-age=31536000, immutable';

const PAGES = {
  '/': 'index.html',
  '/account': 'index.html',
  '/datasets/*': 'index.html',
  '/shared/*': 'index.html',
  '/guide': 'index.html',
  '/guide/*': 'index.html',
  '/docs': 'docs/index.html',
} as const;

/** One document serves all paths of the web UI. @param uploadOrigin the origin of presigned links, if it is another server */
export async function registerWeb(app: FastifyInstance, uploadOrigin: string | undefined): Promise<void> {
  const policies = { 'index.html': policyOf(uploadOrigin), 'docs/index.html': DOCS_POLICY };
  app.addHook('onRequest', async (request, reply) => {
    reply.headers(HEADERS);
    // Only GET has ranges (RFC 9110, section 14.2); the library answers HEAD with 206.
    if (request.method === 'HEAD') delete request.headers.range;
  });
  // Without a build, there is only the API.
  if (!existsSync(FOLDER)) return;
  await app.register(statics, {
    root: [FOLDER, COMMAND_FOLDER],
    serve: false,
    preCompressed: true,
    cacheControl: false,
    setHeaders: (reply, path) => {
      reply.setHeader('cache-control', isImmutable(path) ? IMMUTABLE : 'no-cache');
      reply.setHeader('vary', 'accept-encoding');
    },
  });
  const assets = new Set<string>();
  for (const folder of [FOLDER, COMMAND_FOLDER]) {
    for (const name of filesIn(folder)) {
      if (name.startsWith('assets/')) assets.add(`/${name}`);
      else app.get(`/${name}`, (_request, reply) => reply.sendFile(name, folder));
    }
  }
  // Most files, as one route: a hundred would delay each start.
  app.get('/assets/*', (request, reply) => {
    const path = request.url.replace(/\?.*/, '');
    return assets.has(path) ? reply.sendFile(path, FOLDER) : reply.callNotFound();
  });
  for (const [path, document] of Object.entries(PAGES)) {
    app.get(path, (_request, reply) => reply.header('content-security-policy', policies[document]).sendFile(document));
  }
}

type Answer = (request: FastifyRequest, reply: FastifyReply) => void;

/** Answers a missing route: with the page, which says so, to a person who follows a wrong link. */
export function missingPage(uploadOrigin: string | undefined, otherwise: Answer): Answer {
  if (!existsSync(FOLDER)) return otherwise;
  const headers = { ...HEADERS, 'content-security-policy': policyOf(uploadOrigin), 'cache-control': 'no-cache' };
  const html = readFileSync(join(FOLDER, 'index.html'));
  return (request, reply) => {
    if (!isOpenedByPerson(request)) return otherwise(request, reply);
    reply.code(404).headers(headers).type('text/html; charset=utf-8').send(html);
  };
}

/** Browsers that do not send `Sec-Fetch-Dest` name the type that they prefer. */
function isOpenedByPerson({ method, headers, url }: FastifyRequest): boolean {
  if (method !== 'GET' || url.startsWith(BASE_PATH)) return false;
  return (headers['sec-fetch-dest'] ?? (headers.accept?.startsWith('text/html') ? 'document' : '')) === 'document';
}

/** Leaves out files that are compressed beside another. */
function filesIn(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && !/\.(br|gz)$/.test(entry.name))
    .map((entry) => relative(folder, join(entry.parentPath, entry.name)));
}

/** Assets have a hash in their names, and packages but one their version. */
function isImmutable(path: string): boolean {
  return path.includes('/assets/') || (path.startsWith(COMMAND_FOLDER) && !path.endsWith(CLI_PACKAGE_PATH));
}

const HEADERS = {
  // For files opened by themselves.
  'content-security-policy': policy({}),
  'referrer-policy': 'no-referrer',
  'cross-origin-opener-policy': 'same-origin',
};

function policyOf(uploadOrigin: string | undefined): string {
  return policy({
    'script-src': "'self'",
    'style-src': "'self'",
    'img-src': "'self' blob:",
    'media-src': "'self'",
    'worker-src': "'self'",
    'connect-src': ["'self'", ...(uploadOrigin === undefined ? [] : [uploadOrigin])].join(' '),
  });
}

/** The viewer of the API documentation adds inline styles. */
const DOCS_POLICY = policy({
  'script-src': "'self'",
  'style-src': "'self' 'unsafe-inline'",
  'img-src': "'self' data: blob:",
  'font-src': "'self' data:",
  'connect-src': "'self'",
});

function policy(allowed: Record<string, string>): string {
  const all = {
    'default-src': "'none'",
    ...allowed,
    'base-uri': "'none'",
    'form-action': "'none'",
    'frame-ancestors': "'none'",
  };
  return Object.entries(all)
    .map(([name, sources]) => `${name} ${sources}`)
    .join('; ');
}
