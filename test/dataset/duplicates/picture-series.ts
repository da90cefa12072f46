/* Series of pictures as they lie in real folders, made from photographs of the repository and from drawn scenes. */
import { readFileSync } from 'node:fs';
import sharp, { type Sharp } from 'sharp';
import { ICONS, iconSvg } from '../../fixtures/icons.js';

/** Sets of pictures. A person keeps one of each set; two pictures of different sets are different, however alike they are. */
export interface PictureClass {
  readonly name: string;
  readonly sets: readonly (readonly Buffer[])[];
}

const PHOTOS = ['pdq/bridge.jpg', 'pdq/q0122.jpg', 'pdq/q0291.jpg', 'pdq/q1050.jpg', 'pdq/wee.jpg'];
const DRAWINGS = ['01.jpg', '02.jpg', '05.png', '06.png', '08.jpg', '10.webp', '11.webp', '12.jpg'];

const bytesOf = (path: string) => readFileSync(new URL(`../../../${path}`, import.meta.url));

/** The same numbers each time: xorshift32 (Marsaglia, 2003). */
function numbersFrom(seed: number): (least: number, most: number) => number {
  let state = seed * 2_654_435_761 || 1;
  return (least, most) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return least + ((state >>> 0) / 2 ** 32) * (most - least);
  };
}

/** A landscape of clouds, hills and things, with the grain of a photograph. `moved` is how far its subject has gone, in pixels. */
function sceneOf(seed: number, moved = 0): Sharp {
  const pick = numbersFrom(seed);
  const hue = pick(0, 360);
  const colour = (turn: number, light: number) =>
    `hsl(${Math.round(hue + turn) % 360}, ${Math.round(pick(25, 60))}%, ${Math.round(light)}%)`;
  const horizon = pick(250, 430);
  const things = Array.from({ length: 9 }, () => {
    const [x, y, width, height] = [pick(-60, 900), pick(80, 600), pick(40, 240), pick(40, 260)];
    const fill = colour(pick(0, 360), pick(15, 85));
    return pick(0, 1) < 0.5
      ? `<rect x="${x}" y="${y}" width="${width}" height="${height}" fill="${fill}"/>`
      : `<ellipse cx="${x}" cy="${y}" rx="${width / 2}" ry="${height / 2}" fill="${fill}"/>`;
  });
  const hills = [0, 1, 2].map((index) => {
    const points = Array.from({ length: 7 }, (_, at) => `${at * 160},${horizon + index * 60 - pick(0, 90)}`).join(' ');
    return `<polygon points="0,640 ${points} 960,640" fill="${colour(80 + index * 20, 60 - index * 14)}"/>`;
  });
  const x = pick(120, 420) + moved;
  const subject = `<g fill="${colour(200, 30)}"><circle cx="${x + 50}" cy="${horizon - 60}" r="42"/>
    <rect x="${x}" y="${horizon - 20}" width="100" height="210" rx="30"/></g>`;
  const grain = `<filter id="grain"><feTurbulence type="fractalNoise" baseFrequency="0.02" numOctaves="4" seed="${seed}"/>
    <feColorMatrix type="matrix" values="0.6 0 0 0 0.2  0 0.6 0 0 0.2  0 0 0.6 0 0.2  0 0 0 0 0.35"/></filter>`;
  return drawn(
    960,
    640,
    `<defs>${grain}</defs><rect width="960" height="640" fill="${colour(0, 70)}"/>
    ${hills.join('')}${things.join('')}${subject}<rect width="960" height="640" filter="url(#grain)"/>`,
  );
}

/** A drawing in units of which three are two pixels. */
function drawn(width: number, height: number, inside: string): Sharp {
  const size = `width="${width / 1.5}" height="${height / 1.5}" viewBox="0 0 ${width} ${height}"`;
  return sharp(Buffer.from(`<svg xmlns="http://www.w3.org/2000/svg" ${size}>${inside}</svg>`)).flatten({
    background: '#fff',
  });
}

const jpeg = (image: Sharp, quality = 90) => image.jpeg({ quality }).toBuffer();

/** How a camera that is held by hand sees a scene: shares of the width, degrees, and stops. */
interface Shot {
  readonly right?: number;
  readonly down?: number;
  readonly turn?: number;
  readonly exposure?: number;
}

/** What remains of a scene within a margin of 4 %. */
async function shot(scene: Buffer, { right = 0, down = 0, turn = 0, exposure = 0 }: Shot = {}): Promise<Buffer> {
  const { width, height } = await sharp(scene).metadata();
  const turned =
    turn === 0 ? sharp(scene) : sharp(await sharp(scene).rotate(turn, { background: '#fff' }).png().toBuffer());
  const whole = turn === 0 ? { width, height } : await turned.metadata();
  const part = { width: Math.round(width * 0.92), height: Math.round(height * 0.92) };
  const area = {
    ...part,
    left: Math.round((whole.width - part.width) / 2 + right * width),
    top: Math.round((whole.height - part.height) / 2 + down * width),
  };
  return jpeg(turned.extract(area).linear(2 ** (exposure / 2.2), 0));
}

/** Photographs, drawings, scenes and figures, each once. */
async function originalPictures(): Promise<Buffer[]> {
  const scenes = [1, 2, 3, 4, 5, 6, 7].map((seed) => sceneOf(seed));
  const figures = [6, 7, 8].map((seed) => onWhite(seed, 0));
  return [
    ...PHOTOS.map((name) => bytesOf(`test/fixtures/images/${name}`)),
    ...DRAWINGS.map((name) => bytesOf(`examples/railway/yard_${name}`)),
    ...(await Promise.all([...scenes, ...figures].map((image) => image.png().toBuffer()))),
  ];
}

/** A set for each picture. */
async function singly(images: readonly Sharp[]): Promise<Buffer[][]> {
  return Promise.all(images.map(async (image) => [await image.png().toBuffer()]));
}

/** Without `share` of the width and height, half of it on each side. */
export async function cropped(original: Buffer, share: number): Promise<Buffer> {
  const { width, height } = await sharp(original).metadata();
  const [left, top] = [width, height].map((length) => Math.round((length * share) / 2)) as [number, number];
  return jpeg(sharp(original).extract({ left, top, width: width - 2 * left, height: height - 2 * top }));
}

async function resized(original: Buffer, factor: number): Promise<Buffer> {
  const { width } = await sharp(original).metadata();
  return sharp(original)
    .resize(Math.round(width * factor))
    .webp()
    .toBuffer();
}

/** A page of text: the same bars and margins, other words. */
function screenshotOf(seed: number): Sharp {
  const pick = numbersFrom(seed);
  const lines = Array.from({ length: 22 }, (_, line) => {
    let x = 220;
    const words: string[] = [];
    for (const end = pick(500, 900); x < end; ) {
      const width = pick(12, 80);
      words.push(`<rect x="${x}" y="${90 + line * 24}" width="${width}" height="9" fill="#333"/>`);
      x += width + 8;
    }
    return words.join('');
  });
  return drawn(
    960,
    640,
    `<rect width="960" height="640" fill="#fff"/>
    <rect width="960" height="48" fill="#2b5fa8"/><rect y="48" width="180" height="592" fill="#eef1f5"/>
    ${[0, 1, 2, 3, 4].map((at) => `<rect x="20" y="${80 + at * 40}" width="120" height="12" fill="#667"/>`).join('')}${lines.join('')}`,
  );
}

/** A figure before a white wall: the same body in each pose. `raised` is how far it turns one arm from it, in radians. */
function onWhite(seed: number, pose: number, raised = 0): Sharp {
  const body = numbersFrom(seed + 40);
  const [hue, width, height] = [Math.round(body(0, 360)), body(70, 120), body(150, 210)];
  const limbs = numbersFrom(seed * 10 + pose + 70);
  const limb = (x: number, y: number, length: number, turn = 0) => {
    const angle = limbs(0, Math.PI) + turn;
    const [toX, toY] = [x + Math.cos(angle) * length, y + Math.sin(angle) * length];
    return `<line x1="${x}" y1="${y}" x2="${toX}" y2="${toY}"/>`;
  };
  const [left, hips] = [320 - width / 2, 300 + height];
  return drawn(
    640,
    800,
    `<rect width="640" height="800" fill="#fff"/>
    <g stroke="hsl(${hue}, 40%, 40%)" stroke-width="26" stroke-linecap="round">
    ${limb(left, 300, 150, raised)}${limb(left + width, 300, 150)}${limb(300, hips, 190)}${limb(340, hips, 190)}</g>
    <rect x="${left}" y="280" width="${width}" height="${height}" rx="30" fill="hsl(${hue}, 50%, 55%)"/>
    <circle cx="320" cy="220" r="62" fill="hsl(${(hue + 30) % 360}, 45%, 75%)"/>`,
  );
}

const SEEDS = [0, 1, 2, 3, 4, 5];

export async function pictureClasses(): Promise<PictureClass[]> {
  // Only the service must not read it.
  sharp.unblock({ operation: ['VipsForeignLoadSvg'] });
  const originals = await originalPictures();
  const setsOf = (made: (original: Buffer) => Promise<Buffer>[]) =>
    Promise.all(originals.map((original) => Promise.all(made(original))));
  const shake = numbersFrom(5);
  const few = () => shake(-0.008, 0.008);
  const classes: Record<string, Promise<(readonly Buffer[])[]>> = {
    'recompressed, half and 1.6 times the size': setsOf((original) => [
      jpeg(sharp(original)),
      jpeg(sharp(original), 30),
      resized(original, 0.5),
      resized(original, 1.6),
    ]),
    'crops of 1 and 3 %': setsOf((original) => [
      jpeg(sharp(original)),
      cropped(original, 0.01),
      cropped(original, 0.03),
    ]),
    'bursts by hand: shifts of up to 0.8 %, turns of up to 0.5°': setsOf((original) => [
      shot(original),
      shot(original, { right: few(), down: few() }),
      shot(original, { right: few(), down: few(), turn: shake(-0.5, 0.5) }),
    ]),
    'bursts with ⅓ of a stop more and less light': setsOf((original) => [
      shot(original),
      shot(original, { exposure: 1 / 3 }),
      shot(original, { exposure: -1 / 3, right: few() / 2 }),
    ]),
    mirrored: setsOf((original) => [jpeg(sharp(original)), jpeg(sharp(original).flop(), 70)]),
    'other moments of a scene': singly(SEEDS.flatMap((seed) => [0, 110, 260].map((moved) => sceneOf(seed + 8, moved)))),
    icons: singly(ICON_NAMES.flatMap((icon) => ['#fff', '#f66'].map((background) => iconOf(icon, background)))),
    'plain colours and gradients': singly([...PLAIN.map(plain), ...PLAIN.map(gradient)]),
    'screenshots with other texts': singly(SEEDS.map(screenshotOf)),
    'poses before white': singly(SEEDS.flatMap((seed) => [0, 1, 2].map((pose) => onWhite(seed, pose)))),
    'one arm raised, before white': singly(SEEDS.flatMap((seed) => [0, 0.5].map((raised) => onWhite(seed, 0, raised)))),
  };
  return Promise.all(Object.entries(classes).map(async ([name, sets]) => ({ name, sets: await sets })));
}

const ICON_NAMES = Object.keys(ICONS) as (keyof typeof ICONS)[];

function iconOf(icon: keyof typeof ICONS, background: string): Sharp {
  return sharp(Buffer.from(iconSvg(icon, { background })));
}

const PLAIN = ['#ffffff', '#000000', '#dd3333', '#33aa33', '#3333dd', '#777777', '#7a7a7a'];

function plain(background: string): Sharp {
  return sharp({ create: { width: 512, height: 512, channels: 3, background } });
}

function gradient(colour: string): Sharp {
  const stops = `<stop stop-color="#eec"/><stop offset="1" stop-color="${colour}"/>`;
  return drawn(
    512,
    512,
    `<linearGradient id="g" y2="1">${stops}</linearGradient><rect width="512" height="512" fill="url(#g)"/>`,
  );
}
