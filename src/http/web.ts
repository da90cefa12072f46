import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import statics from '@fastify/static';
import type { FastifyReply } from 'fastify';
import type { App } from './context.js';

/** Where `npm run build` puts the page; from the sources and from what is built of them alike. */
const FOLDER = fileURLToPath(new URL('../../dist/web', import.meta.url));

/** Addresses of the page itself, which shows what they name. */
const PAGES = ['/', '/datasets/*'];

/**
 * The web UI: its files, and the one HTML document for every address in it.
 *
 * @param uploadOrigin where presigned links lead browsers, if not here
 */
export async function registerWeb(app: App, { uploadOrigin }: { uploadOrigin: string | undefined }): Promise<void> {
  const headers = headersFor(uploadOrigin);
  const secure = async (_request: unknown, reply: FastifyReply) => void reply.headers(headers);
  app.addHook('onRequest', secure);
  // From the sources alone, as tools run them, there is an API only.
  if (!existsSync(FOLDER)) return;
  await app.register(statics, {
    root: FOLDER,
    index: false,
    preCompressed: true,
    wildcard: false,
    // Names under /assets hold a digest of what is in them; all others may have new content tomorrow.
    cacheControl: false,
    setHeaders: (reply, path) => {
      const isLasting = path.includes('/assets/');
      reply.setHeader('cache-control', isLasting ? 'public, max-age=31536000, immutable' : 'no-cache');
    },
    schemaHide: true,
  });
  for (const page of PAGES)
    app.get(page, { schema: { hide: true } }, (_request, reply) => reply.sendFile('index.html'));
}

function headersFor(uploadOrigin: string | undefined): Record<string, string> {
  const policy = {
    'default-src': "'none'",
    'script-src': "'self'",
    'style-src': "'self'",
    'img-src': "'self' blob:",
    'media-src': "'self'",
    'worker-src': "'self'",
    'connect-src': ["'self'", ...(uploadOrigin === undefined ? [] : [uploadOrigin])].join(' '),
    'base-uri': "'none'",
    'form-action': "'none'",
    'frame-ancestors': "'none'",
  };
  return {
    'content-security-policy': Object.entries(policy)
      .map(([name, sources]) => `${name} ${sources}`)
      .join('; '),
    'x-content-type-options': 'nosniff',
    'referrer-policy': 'no-referrer',
    'cross-origin-opener-policy': 'same-origin',
  };
}
