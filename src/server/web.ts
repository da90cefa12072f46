import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import statics from '@fastify/static';
import type { App } from './context.js';

/** Where `npm run build` puts the page; from the sources and from what is built of them alike. */
const FOLDER = fileURLToPath(new URL('../../dist/web', import.meta.url));

/** Each address, and the document that is there. */
const PAGES = { '/': 'index.html', '/datasets/*': 'index.html', '/docs': 'docs/index.html' } as const;

/**
 * What a browser is shown: the web UI, one document for every address in it, and the documentation of the API.
 *
 * @param uploadOrigin where presigned links lead browsers, if not here
 */
export async function registerWeb(app: App, { uploadOrigin }: { uploadOrigin: string | undefined }): Promise<void> {
  const policies = { 'index.html': policyOf(uploadOrigin), 'docs/index.html': DOCS_POLICY };
  app.addHook('onRequest', async (_request, reply) => void reply.headers(HEADERS));
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
  for (const [address, document] of Object.entries(PAGES)) {
    app.get(address, { schema: { hide: true } }, (_request, reply) =>
      reply.header('content-security-policy', policies[document]).sendFile(document),
    );
  }
}

const HEADERS = {
  // Of whatever is opened by itself; the documents have their own.
  'content-security-policy': policy({}),
  'x-content-type-options': 'nosniff',
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

/** The viewer writes its styles into the document. */
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
