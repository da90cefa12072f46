/** An instruction of a Dockerfile, as in `COPY --from=build /app/dist ./dist`. */
export interface Instruction {
  readonly name: string;
  /** All after the name, with lines that end in a backslash joined. */
  readonly text: string;
}

/** From one `FROM` to the next. */
export interface Stage {
  /** Its name after `AS`; the last stage, which makes the image, has none. */
  readonly name: string | undefined;
  readonly base: string;
  readonly instructions: readonly Instruction[];
}

/** Instructions that neither build nor configure a container here; others that are not known are an error. */
const KNOWN = new Set([
  ...['ARG', 'FROM', 'WORKDIR', 'COPY', 'RUN', 'ENV', 'USER', 'VOLUME'],
  ...['EXPOSE', 'STOPSIGNAL', 'HEALTHCHECK', 'ENTRYPOINT', 'CMD'],
]);

/** @throws Error for an instruction that is not known, or without a stage. */
export function stagesOf(dockerfile: string): Stage[] {
  const defaults: Record<string, string> = {};
  const stages: (Stage & { instructions: Instruction[] })[] = [];
  for (const { name, text } of instructionsOf(dockerfile)) {
    const stage = stages.at(-1);
    if (name === 'FROM') {
      const [image = '', , alias] = text.split(' ');
      const base = image.replace(/\$\{(\w+)\}/g, (_, argument: string) => defaults[argument] ?? '');
      stages.push({ name: alias, base, instructions: [] });
    } else if (stage !== undefined) stage.instructions.push({ name, text });
    else if (name === 'ARG') Object.assign(defaults, pairsOf(text));
    else throw new Error(`${name} comes before FROM`);
  }
  return stages;
}

function instructionsOf(dockerfile: string): Instruction[] {
  const lines = dockerfile
    .split('\n')
    .filter((line) => !line.startsWith('#'))
    .join('\n')
    .replaceAll(/\\\n\s*/g, '')
    .split('\n');
  return lines
    .filter((line) => line.trim() !== '')
    .map((line) => {
      const [, name = '', text = ''] = /^(\w+)\s+(.*)$/.exec(line) ?? [];
      if (!KNOWN.has(name)) throw new Error(`Not a known instruction: ${line}`);
      return { name, text };
    });
}

/** `A=1 B=2` as an object. */
export function pairsOf(text: string): Record<string, string> {
  return Object.fromEntries(text.split(/\s+/).map((pair) => [pair.split('=')[0], pair.slice(pair.indexOf('=') + 1)]));
}

/** The last instruction of this name in a stage, which is the one that counts. */
export function lastOf(stage: Stage, name: string): string | undefined {
  return stage.instructions.findLast((instruction) => instruction.name === name)?.text;
}

/** The variables of all `ENV` instructions of a stage. */
export function environmentOfStage(stage: Stage): Record<string, string> {
  return Object.assign({}, ...stage.instructions.filter(({ name }) => name === 'ENV').map(({ text }) => pairsOf(text)));
}

/** The command of `ENTRYPOINT`, `CMD` or `HEALTHCHECK … CMD` in its JSON form. */
export function commandOf(text: string | undefined): string[] {
  return JSON.parse(/\[.*\]/.exec(text ?? '')?.[0] ?? '[]') as string[];
}
