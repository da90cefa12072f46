import { fileURLToPath } from 'node:url';
import ts from 'typescript';
import { expect, test } from 'vitest';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));

/** Declarations of the variables that the examples use. */
const PRELUDE = `
import { type PushFile, TrainyardClient } from 'trainyard';
declare const client: TrainyardClient;
declare const dataset: { id: string };
declare const webhook: { id: string };
declare const files: PushFile[];
declare const clip: File;
declare const etag: string;
declare const image: HTMLImageElement;
declare const video: HTMLVideoElement;
`;

const documented = ['client', 'download-links', 'calls'].flatMap((file) => classesIn(`src/client/${file}.ts`));

/** The public classes of a file, with the code of their `@example`. */
function classesIn(path: string): { name: string; example: string | undefined }[] {
  const text = ts.sys.readFile(`${ROOT}${path}`) ?? '';
  return ts
    .createSourceFile(path, text, ts.ScriptTarget.ES2023, true)
    .statements.filter(ts.isClassDeclaration)
    .map((each) => ({ name: each.name?.text ?? '', example: exampleOf(each) }))
    .filter(({ name }) => name !== 'Calls');
}

function exampleOf(node: ts.Node): string | undefined {
  const tag = ts.getJSDocTags(node).find(({ tagName }) => tagName.text === 'example');
  return ts.getTextOfJSDocComment(tag?.comment);
}

/** The messages of the compiler for a module, against the types of the built package. */
function compile(code: string): string[] {
  const path = `${ROOT}examples.mts`;
  const options: ts.CompilerOptions = {
    strict: true,
    noUncheckedIndexedAccess: true,
    module: ts.ModuleKind.NodeNext,
    target: ts.ScriptTarget.ES2023,
    lib: ['lib.es2023.d.ts', 'lib.dom.d.ts', 'lib.dom.asynciterable.d.ts'],
    types: [],
    skipLibCheck: true,
    noEmit: true,
  };
  const host = ts.createCompilerHost(options);
  const { getSourceFile, fileExists } = host;
  host.fileExists = (name) => name === path || fileExists(name);
  host.getSourceFile = (name, target) =>
    name === path ? ts.createSourceFile(name, code, target) : getSourceFile(name, target);
  const program = ts.createProgram([path], options, host);
  return ts.getPreEmitDiagnostics(program).map(({ messageText }) => ts.flattenDiagnosticMessageText(messageText, '\n'));
}

test('each public class of the client has an example', () => {
  expect(documented.length).toBeGreaterThan(9);
  expect(documented.filter(({ example }) => !example).map(({ name }) => name)).toEqual([]);
});

test('every example compiles, and one that calls the client wrongly would not', () => {
  const functions = documented.map(({ name, example }) => `async function ${name}_example() {\n${example}\n}`);
  const wrong = 'await client.create(5);';
  expect(compile([PRELUDE, ...functions, wrong].join('\n'))).toEqual([expect.stringContaining("'number'")]);
});
