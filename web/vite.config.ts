import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { brotliCompressSync, constants, gzipSync } from 'node:zlib';
import tailwind from '@tailwindcss/vite';
import react from '@vitejs/plugin-react';
import { Marked } from 'marked';
import { defineConfig, type Plugin } from 'vite';

const OUTPUT = fileURLToPath(new URL('../dist/web', import.meta.url));
const COMPRESSIBLE = /\.(js|css|html|svg)$/;

/** Compresses assets at build time, so that the server does not have to. */
function compressed(): Plugin {
  return {
    name: 'compressed',
    apply: 'build',
    closeBundle: () => {
      for (const entry of readdirSync(OUTPUT, { recursive: true, withFileTypes: true })) {
        if (!entry.isFile() || !COMPRESSIBLE.test(entry.name)) continue;
        const path = join(entry.parentPath, entry.name);
        const bytes = readFileSync(path);
        writeFileSync(`${path}.gz`, gzipSync(bytes, { level: 9 }));
        writeFileSync(`${path}.br`, brotliCompressSync(bytes, { params: { [constants.BROTLI_PARAM_QUALITY]: 9 } }));
      }
    },
  };
}

/** Adds the script of the API reference at `/docs`. */
function apiReference(): Plugin {
  const scalar = createRequire(import.meta.url).resolve('@scalar/fastify-api-reference');
  const script = join(dirname(scalar), 'js', 'standalone.js');
  return {
    name: 'api-reference',
    apply: 'build',
    generateBundle() {
      this.emitFile({ type: 'asset', fileName: 'docs/scalar.js', source: readFileSync(script) });
    },
  };
}

const GUIDE = /\/docs\/([a-z-]+)\.md\?guide$/;

/** Turns a document with `?guide` into a module with its HTML. */
function guide(): Plugin {
  return {
    name: 'guide',
    enforce: 'pre',
    load(id) {
      if (!GUIDE.test(id)) return undefined;
      const path = id.replace(/\?guide$/, '');
      this.addWatchFile(path);
      const { html, images } = guidePage(readFileSync(path, 'utf8'));
      const imports = images.map((image, index) => `import image${index} from '${join(dirname(path), image)}?url';\n`);
      const replaced = images.map((_, index) => `.replace('image:${index}', image${index})`);
      return `${imports.join('')}export const html = ${JSON.stringify(html)}${replaced.join('')};\n`;
    },
  };
}

/** Renders a document, with links to `/guide/NAME` in place of those to other documents. Others of the repository are text. */
function guidePage(text: string) {
  const images: string[] = [];
  const marked = new Marked({
    renderer: {
      heading({ tokens, depth, text }) {
        const slug = text
          .toLowerCase()
          .replace(/[^\p{L}\p{N} -]/gu, '')
          .replaceAll(' ', '-');
        return `<h${depth} id="${slug}">${this.parser.parseInline(tokens)}</h${depth}>`;
      },
      link({ href, tokens }) {
        const words = this.parser.parseInline(tokens);
        if (href.startsWith('..')) return words;
        const target = href.startsWith('http') ? ' target="_blank" rel="noreferrer"' : '';
        return `<a href="${href.replace(/^([a-z-]+)\.md/, '/guide/$1')}"${target}>${words}</a>`;
      },
      image: ({ href, text }) => `<img src="image:${images.push(href) - 1}" alt="${text}" loading="lazy">`,
      table(token) {
        // A focusable frame: a wide table scrolls by keyboard too.
        const row = (cells: typeof token.header, tag: string) =>
          `<tr>${cells.map(({ tokens }) => `<${tag}>${this.parser.parseInline(tokens)}</${tag}>`).join('')}</tr>`;
        const body = token.rows.map((cells) => row(cells, 'td')).join('');
        return `<div class="scrolled" tabindex="0"><table><thead>${row(token.header, 'th')}</thead><tbody>${body}</tbody></table></div>`;
      },
      code: ({ text }) =>
        `<pre tabindex="0"><code>${text.replaceAll('&', '&amp;').replaceAll('<', '&lt;')}</code></pre>`,
    },
  });
  return { html: marked.parse(text, { async: false }), images };
}

export default defineConfig({
  root: fileURLToPath(new URL('.', import.meta.url)),
  plugins: [guide(), react(), tailwind(), apiReference(), compressed()],
  build: {
    outDir: OUTPUT,
    emptyOutDir: true,
    target: 'es2022',
    // Inlined assets become data: URLs, which the content security policy forbids.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    // A test limits what the first load transfers.
    chunkSizeWarningLimit: 700,
    rolldownOptions: {
      output: {
        // Loaded when they are read alone.
        chunkFileNames: ({ facadeModuleId }) =>
          `assets/${GUIDE.test(facadeModuleId ?? '') ? 'guide/' : ''}[name]-[hash].js`,
      },
    },
  },
  worker: { format: 'es' },
  // `npm run dev` uses a service that was started by `npm start`.
  server: { proxy: { '/prod': 'http://127.0.0.1:8787', '/uploads': 'http://127.0.0.1:8787' } },
});
