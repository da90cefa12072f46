import fc from 'fast-check';
import { hostileFilename, hostileText } from './hostile-values.js';

/** A multipart body and the content type that announces it. */
export interface Form {
  readonly contentType: string;
  readonly body: Buffer;
}

interface Part {
  readonly field: string;
  readonly filename: string | undefined;
  /** Header lines beside Content-Disposition. */
  readonly headers: readonly string[];
  readonly content: Buffer;
}

const BOUNDARY = 'between-the-parts';

function formOf(parts: readonly Part[], { end = `--${BOUNDARY}--\r\n`, line = '\r\n', before = '' } = {}): Form {
  const chunks = parts.flatMap(({ field, filename, headers, content }) => {
    const name = filename === undefined ? '' : `; filename="${filename.replaceAll('"', '%22')}"`;
    const head = [`--${BOUNDARY}`, `Content-Disposition: form-data; name="${field}"${name}`, ...headers, '', ''];
    return [Buffer.from(head.join(line)), content, Buffer.from(line)];
  });
  const body = Buffer.concat([Buffer.from(before), ...chunks, Buffer.from(end)]);
  return { contentType: `multipart/form-data; boundary=${BOUNDARY}`, body };
}

/** Forms with one file that the server accepts. @param files its name and content */
export function forms(files: fc.Arbitrary<{ filename: string; content: Buffer }>): fc.Arbitrary<Form> {
  return files.map(({ filename, content }) => formOf([{ field: 'file', filename, headers: [], content }]));
}

/** Forms that are damaged, or that no client sends. */
export function hostileForms(files: fc.Arbitrary<{ filename: string; content: Buffer }>): fc.Arbitrary<Form> {
  const part = fc.record<Part>({
    field: fc.oneof({ weight: 5, arbitrary: fc.constant('file') }, { weight: 1, arbitrary: hostileText.map(oneLine) }),
    filename: fc.oneof(
      { weight: 3, arbitrary: files.map(({ filename }) => filename) },
      { weight: 3, arbitrary: hostileFilename },
      { weight: 1, arbitrary: fc.constant(undefined) },
    ),
    headers: fc.subarray(HEADERS),
    content: fc.oneof(
      { weight: 3, arbitrary: files.map(({ content }) => content) },
      { weight: 1, arbitrary: fc.uint8Array({ maxLength: 60 }).map((bytes) => Buffer.from(bytes)) },
      { weight: 1, arbitrary: hostileText.map((text) => Buffer.from(text)) },
      { weight: 1, arbitrary: fc.constant(Buffer.from(`\r\n--${BOUNDARY}`)) },
    ),
  });
  const layout = {
    end: fc.constantFrom('', '--', `--${BOUNDARY}`, `--${BOUNDARY}--`, `--${BOUNDARY}--\r\ntrailer`, '--other--\r\n'),
    line: fc.constantFrom('\n', '\r'),
    before: fc.constantFrom('preamble\r\n', '\r\n', `--${BOUNDARY}`, '\u0000'),
    contentType: fc.constantFrom(...CONTENT_TYPES),
  };
  return fc
    .tuple(fc.array(part, { maxLength: 20, size: 'small' }), fc.record(layout, { requiredKeys: [] }))
    .map(([parts, options]) => ({ ...formOf(parts, options), ...options }));
}

const HEADERS = [
  'Content-Type: image/jpeg',
  'Content-Type: multipart/mixed; boundary=x',
  'Content-Transfer-Encoding: base64',
  'Content-Length: 0',
  "Content-Disposition: form-data; name=file; filename*=UTF-8''%2e%2e%2fx.txt",
  `X-Long: ${'x'.repeat(20_000)}`,
  'no colon',
  ' folded: yes',
];

const CONTENT_TYPES = [
  ...['', '; boundary=', '; boundary=""', '; boundary=other', `;boundary="${BOUNDARY}"`].map(
    (rest) => `multipart/form-data${rest}`,
  ),
  ...[`; boundary=${'b'.repeat(300)}`, '; charset=utf-16; boundary=x'].map((rest) => `multipart/form-data${rest}`),
  ...['multipart/mixed; boundary=x', `MULTIPART/FORM-DATA; BOUNDARY=${BOUNDARY}`, 'application/json'],
];

/** A line break in a header would end it. */
function oneLine(text: string): string {
  return text.replaceAll(/[\r\n"]/g, ' ');
}
