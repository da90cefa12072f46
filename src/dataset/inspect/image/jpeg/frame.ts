import type { HuffmanTable } from './huffman.js';

export interface JpegComponent {
  readonly id: number;
  /** Sampling factors, 1 to 4. */
  readonly across: number;
  readonly down: number;
  /** The number of its quantization table. */
  readonly quantization: number;
}

export interface JpegFrame {
  readonly width: number;
  readonly height: number;
  readonly isProgressive: boolean;
  readonly components: readonly JpegComponent[];
}

/** A scan, with the tables and the restart interval in force at its header. */
export interface JpegScan {
  /** Offset in the file of its first entropy-coded byte. */
  readonly offset: number;
  readonly components: readonly {
    readonly component: JpegComponent;
    readonly dc: HuffmanTable | undefined;
    readonly ac: HuffmanTable | undefined;
  }[];
  /** The band of coefficients, 0 to 63. */
  readonly first: number;
  readonly last: number;
  /** Successive approximation (Ah, Al): the lowest bit that earlier scans sent, 0 for none, and the lowest that this one sends. */
  readonly high: number;
  readonly low: number;
  /** In MCUs; 0 for none. */
  readonly restartInterval: number;
}

/** The blocks of each MCU of a scan, and the number of MCUs (A.2). */
export function layoutOf(
  { width, height, components: all }: JpegFrame,
  scan: JpegScan,
): { mcus: number; blocks: JpegScan['components'] } {
  const across = Math.max(...all.map((component) => component.across));
  const down = Math.max(...all.map((component) => component.down));
  const [only, ...others] = scan.components;
  if (only !== undefined && others.length === 0) {
    const columns = Math.ceil(Math.ceil((width * only.component.across) / across) / 8);
    const rows = Math.ceil(Math.ceil((height * only.component.down) / down) / 8);
    return { mcus: columns * rows, blocks: [only] };
  }
  const mcus = Math.ceil(width / (8 * across)) * Math.ceil(height / (8 * down));
  const blocks = scan.components.flatMap((each) =>
    Array.from({ length: each.component.across * each.component.down }, () => each),
  );
  return { mcus, blocks };
}
