/** Texts in which regular expressions search, and what they have found. */
export interface RegexRequest {
  readonly sources: readonly string[];
  readonly texts: readonly string[];
  readonly flags: string;
}

/** By expression: indexes of texts that match, each with some of the texts found. */
export type RegexResponse = readonly (readonly [index: number, found: readonly string[]])[][];

const MAX_MARKS = 20;

/*
 * Some expressions need longer than a person lives. They run here, where the page ends them. It makes no requests.
 */
addEventListener('message', ({ data: { sources, texts, flags } }: MessageEvent<RegexRequest>) => {
  const response: RegexResponse = sources.map((source) => {
    const pattern = new RegExp(source, flags);
    return texts.flatMap((text, index) => {
      const found = [...new Set(text.match(pattern)?.filter(Boolean).slice(0, MAX_MARKS))];
      pattern.lastIndex = 0;
      return pattern.test(text) ? [[index, found] as const] : [];
    });
  });
  postMessage(response);
});

// The time of an expression counts from here.
postMessage('loaded');
