// Draws the sample dataset in `railway/`. Run: npx tsx examples/make.ts. The clip needs ffmpeg, the images only sharp.
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import sharp from 'sharp';

interface Scene {
  readonly file: string;
  readonly width: number;
  readonly height: number;
  readonly caption: string;
  /** Returns SVG for a canvas of `width` × `height` pixels; `rails` is the y coordinate of the rails. */
  readonly draw: (canvas: { width: number; height: number; rails: number }) => string;
  readonly sky: Sky;
}

type Sky = 'day' | 'dusk' | 'night' | 'snow' | 'dawn';
const SKIES: Record<Sky, { top: string; bottom: string; hills: string; ground: string; light: string }> = {
  day: { top: '#7db9e8', bottom: '#dff0fb', hills: '#86b07d', ground: '#b9a98c', light: '#fff4c2' },
  dusk: { top: '#3f3a6b', bottom: '#f2a26b', hills: '#5b4a6f', ground: '#6f5a55', light: '#ffcf7a' },
  night: { top: '#0c1530', bottom: '#2b3d66', hills: '#18233f', ground: '#2f3238', light: '#ffe9a8' },
  snow: { top: '#c9d6e2', bottom: '#f4f7fa', hills: '#dfe8ee', ground: '#eef2f5', light: '#ffffff' },
  dawn: { top: '#f7c6b5', bottom: '#fdf0d9', hills: '#a9b99a', ground: '#c2b093', light: '#fff1d0' },
};

const rect = (x: number, y: number, w: number, h: number, fill: string, more = '') =>
  `<rect x="${x}" y="${y}" width="${w}" height="${h}" fill="${fill}" ${more}/>`;
const circle = (x: number, y: number, r: number, fill: string, more = '') =>
  `<circle cx="${x}" cy="${y}" r="${r}" fill="${fill}" ${more}/>`;

function wheel(x: number, rails: number, radius: number): string {
  const y = rails - radius;
  const spokes = [0, 45, 90, 135]
    .map((turn) => `<line x1="${x - radius + 4}" y1="${y}" x2="${x + radius - 4}" y2="${y}" stroke="#6a6f76" stroke-width="3" transform="rotate(${turn} ${x} ${y})"/>`)
    .join('');
  return circle(x, y, radius, '#23262b') + circle(x, y, radius - 5, '#3d4249') + spokes + circle(x, y, 5, '#9aa0a8');
}

function boxWagon(x: number, rails: number, colour: string, roof: string): string {
  const y = rails - 150;
  const planks = [0, 1, 2, 3, 4, 5, 6].map((n) => rect(x + 6 + n * 30, y, 2, 108, '#00000030')).join('');
  return [
    rect(x - 14, rails - 44, 14, 8, '#33363b') + rect(x + 220, rails - 44, 14, 8, '#33363b'),
    rect(x, rails - 46, 220, 12, '#33363b'),
    rect(x, y, 220, 108, colour, 'rx="4"') + planks,
    rect(x + 78, y + 10, 64, 94, '#00000028', 'rx="2"') + rect(x + 132, y + 52, 5, 16, '#f3e9d2'),
    `<path d="M${x - 6} ${y} q116 -34 232 0 z" fill="${roof}"/>`,
    wheel(x + 44, rails, 22) + wheel(x + 176, rails, 22),
  ].join('');
}

function tankWagon(x: number, rails: number, colour: string): string {
  const y = rails - 138;
  return [
    rect(x - 14, rails - 44, 248, 8, '#33363b') + rect(x, rails - 48, 220, 12, '#33363b'),
    rect(x + 6, y, 208, 86, colour, 'rx="42"') + rect(x + 20, y + 12, 180, 14, '#ffffff55', 'rx="7"'),
    rect(x + 92, y - 16, 36, 20, colour, 'rx="5"') + rect(x + 84, y - 20, 52, 7, '#33363b', 'rx="3"'),
    rect(x + 60, y, 6, 86, '#00000030') + rect(x + 154, y, 6, 86, '#00000030'),
    wheel(x + 44, rails, 22) + wheel(x + 176, rails, 22),
  ].join('');
}

function openWagon(x: number, rails: number, colour: string, load: string): string {
  const y = rails - 108;
  return [
    `<path d="M${x + 8} ${y} q36 -44 70 -26 q34 -34 64 0 q40 -20 70 26 z" fill="${load}"/>`,
    rect(x - 14, rails - 44, 248, 8, '#33363b'),
    rect(x, y, 220, 68, colour, 'rx="3"'),
    [0, 1, 2, 3, 4].map((n) => rect(x + 12 + n * 48, y, 6, 68, '#00000038')).join(''),
    wheel(x + 44, rails, 22) + wheel(x + 176, rails, 22),
  ].join('');
}

function steamEngine(x: number, rails: number, colour: string, trim: string): string {
  const puff = (dx: number, dy: number, r: number) => circle(x + 200 + dx, rails - 210 - dy, r, '#ffffff', 'opacity="0.75"');
  return [
    puff(0, 0, 18) + puff(-26, 26, 26) + puff(-64, 44, 34) + puff(-112, 58, 42),
    rect(x - 8, rails - 48, 262, 14, '#2a2d32') + rect(x + 250, rails - 52, 14, 26, trim, 'rx="3"'),
    rect(x + 70, rails - 128, 172, 82, colour, 'rx="14"') + rect(x + 238, rails - 120, 14, 66, '#2a2d32', 'rx="5"'),
    [110, 150, 190].map((n) => rect(x + n, rails - 128, 5, 82, trim)).join(''),
    rect(x + 186, rails - 180, 28, 56, '#2a2d32') + rect(x + 178, rails - 188, 44, 14, trim, 'rx="4"'),
    `<path d="M${x + 116} ${rails - 128} q17 -34 34 0 z" fill="${trim}"/>`,
    rect(x, rails - 168, 78, 122, colour, 'rx="4"') + rect(x - 10, rails - 178, 98, 14, '#2a2d32', 'rx="6"'),
    rect(x + 16, rails - 148, 46, 42, '#fbe7a5', 'rx="4"') + circle(x + 248, rails - 96, 9, '#fff3b0'),
    wheel(x + 32, rails, 30) + wheel(x + 106, rails, 30) + wheel(x + 174, rails, 30) + wheel(x + 230, rails, 18),
    rect(x + 28, rails - 34, 152, 8, '#b8bec6', 'rx="4"'),
  ].join('');
}

function dieselEngine(x: number, rails: number, colour: string, stripe: string): string {
  return [
    rect(x - 8, rails - 46, 276, 12, '#2a2d32'),
    `<path d="M${x} ${rails - 46} v-92 q0 -14 14 -14 h190 q44 0 56 60 v46 z" fill="${colour}"/>`,
    rect(x, rails - 92, 258, 16, stripe),
    `<path d="M${x + 200} ${rails - 140} h8 q26 4 36 42 h-44 z" fill="#bfe3f5"/>`,
    [0, 1, 2].map((n) => rect(x + 22 + n * 54, rails - 134, 38, 28, '#bfe3f5', 'rx="5"')).join(''),
    rect(x + 40, rails - 162, 90, 12, '#2a2d32', 'rx="4"') + circle(x + 250, rails - 62, 8, '#fff3b0'),
    [40, 84, 176, 220].map((n) => wheel(x + n, rails, 20)).join(''),
  ].join('');
}

function signal(x: number, rails: number, lit: 'red' | 'green' | 'yellow'): string {
  const lamp = (y: number, name: string, on: string) =>
    circle(x, y, 15, lit === name ? on : '#2c2f35') + (lit === name ? circle(x, y, 34, on, 'opacity="0.25"') : '');
  const top = rails - 250;
  return [
    rect(x - 5, top + 100, 10, 150, '#4a4e55') + rect(x - 28, rails - 10, 56, 14, '#4a4e55', 'rx="3"'),
    rect(x - 28, top, 56, 126, '#16181c', 'rx="14"') + rect(x - 28, top, 56, 126, 'none', 'rx="14" stroke="#f1f1f1" stroke-width="3"'),
    lamp(top + 25, 'red', '#ff4438') + lamp(top + 63, 'yellow', '#ffc93c') + lamp(top + 101, 'green', '#3ddc84'),
  ].join('');
}

function waterTower(x: number, rails: number): string {
  return [
    [0, 56, 112].map((n) => rect(x + n, rails - 200, 10, 204, '#6b5238')).join(''),
    `<path d="M${x + 4} ${rails - 10} L${x + 118} ${rails - 190} M${x + 118} ${rails - 10} L${x + 4} ${rails - 190}" stroke="#6b5238" stroke-width="6"/>`,
    rect(x - 20, rails - 310, 162, 116, '#8a5a3b', 'rx="6"'),
    [0, 1, 2, 3, 4].map((n) => rect(x - 6 + n * 32, rails - 310, 3, 116, '#00000030')).join(''),
    rect(x - 20, rails - 288, 162, 7, '#3b3f45') + rect(x - 20, rails - 222, 162, 7, '#3b3f45'),
    `<path d="M${x - 32} ${rails - 310} L${x + 61} ${rails - 366} L${x + 154} ${rails - 310} z" fill="#55423a"/>`,
    rect(x + 142, rails - 216, 60, 9, '#3b3f45') + rect(x + 194, rails - 216, 9, 44, '#3b3f45'),
  ].join('');
}

function shed(x: number, rails: number, wall: string): string {
  const bricks = Array.from({ length: 9 }, (_, n) => rect(x, rails - 200 + n * 22, 330, 2, '#00000020')).join('');
  return [
    rect(x, rails - 200, 330, 204, wall) + bricks,
    `<path d="M${x - 16} ${rails - 200} L${x + 165} ${rails - 292} L${x + 346} ${rails - 200} z" fill="#4d4f58"/>`,
    circle(x + 165, rails - 232, 20, '#bfe3f5', 'stroke="#f4efe4" stroke-width="5"'),
    [30, 190].map((n) => `<path d="M${x + n} ${rails + 4} v-116 q55 -56 110 0 v116 z" fill="#25272c"/>`).join(''),
  ].join('');
}

function buffers(x: number, rails: number): string {
  return [
    rect(x, rails - 74, 22, 78, '#7a2f2a') + rect(x + 22, rails - 66, 52, 14, '#8e3a33'),
    `<path d="M${x + 4} ${rails - 50} L${x + 110} ${rails + 2} h-26 L${x + 4} ${rails - 26} z" fill="#7a2f2a"/>`,
    rect(x - 16, rails - 66, 18, 30, '#d8d2c4', 'rx="4"') + circle(x + 12, rails - 86, 11, '#ff4438'),
  ].join('');
}

const SCENES: readonly Scene[] = [
  { file: 'yard_01.jpg', width: 768, height: 512, sky: 'day', caption: 'a red boxcar with a grey curved roof standing alone on a siding, green hills behind it, blue sky with small clouds, flat vector illustration', draw: ({ rails }) => boxWagon(270, rails, '#b8392f', '#6c6f75') },
  { file: 'yard_02.jpg', width: 768, height: 512, sky: 'day', caption: 'a green steam locomotive with yellow trim pulling a blue boxcar to the right, white puffs of steam drifting back, sunny day, flat vector illustration', draw: ({ rails }) => boxWagon(120, rails, '#2f62a8', '#55585e') + steamEngine(388, rails, '#2f7d4f', '#e3b341') },
  { file: 'yard_03.jpg', width: 768, height: 512, sky: 'dusk', caption: 'a silver tank car on the track at dusk, purple hills and an orange glow on the horizon, flat vector illustration', draw: ({ rails }) => tankWagon(274, rails, '#c3c9d0') },
  { file: 'yard_04.jpg', width: 512, height: 768, sky: 'night', caption: 'a railway signal showing red at night, stars and a pale moon above dark hills, tall composition, flat vector illustration', draw: ({ rails }) => signal(250, rails, 'red') },
  { file: 'yard_05.png', width: 512, height: 768, sky: 'day', caption: 'a railway signal showing green beside the track, blue sky with small clouds, tall composition, flat vector illustration', draw: ({ rails }) => signal(250, rails, 'green') },
  { file: 'yard_06.png', width: 640, height: 640, sky: 'dawn', caption: 'a wooden water tower with a pointed roof and a spout beside the track at dawn, pink sky, flat vector illustration', draw: ({ rails }) => waterTower(230, rails) },
  { file: 'yard_07.png', width: 768, height: 512, sky: 'snow', caption: 'an orange diesel locomotive with a white stripe in a snowy landscape under a pale winter sky, flat vector illustration', draw: ({ rails }) => dieselEngine(250, rails, '#e0702c', '#f7f3ea') },
  { file: 'yard_08.jpg', width: 768, height: 512, sky: 'day', caption: 'two open wagons on the track, a brown one loaded with black coal and a teal one loaded with yellow sand, flat vector illustration', draw: ({ rails }) => openWagon(130, rails, '#7b4f33', '#26282c') + openWagon(400, rails, '#1f8a85', '#e2c26b') },
  { file: 'yard_09.webp', width: 640, height: 640, sky: 'dusk', caption: 'a brick engine shed with two arched doorways and a round window at dusk, rails in front of it, flat vector illustration', draw: ({ rails }) => shed(155, rails, '#a4553f') },
  { file: 'yard_10.webp', width: 768, height: 512, sky: 'night', caption: 'a blue diesel locomotive with a yellow stripe waiting at a yellow signal at night, full moon, flat vector illustration', draw: ({ rails }) => dieselEngine(150, rails, '#2b4f9e', '#f0c23b') + signal(600, rails, 'yellow') },
  { file: 'yard_11.webp', width: 768, height: 512, sky: 'snow', caption: 'a black steam locomotive with red trim in the snow, a large cloud of steam behind its chimney, flat vector illustration', draw: ({ rails }) => steamEngine(260, rails, '#2e3238', '#c8372d') },
  { file: 'yard_12.jpg', width: 640, height: 512, sky: 'dawn', caption: 'a yellow boxcar with a brown roof in front of a buffer stop with a red lamp at the end of the track, early morning, flat vector illustration', draw: ({ rails }) => boxWagon(150, rails, '#e0b03a', '#6d4a34') + buffers(470, rails) },
];

const CLIP = { file: 'yard_13.mp4', caption: 'a green steam locomotive with yellow trim rolling from left to right past green hills, blue sky with small clouds, static camera, flat vector illustration' };

function page(scene: Pick<Scene, 'width' | 'height' | 'sky'>, inside: (rails: number) => string): string {
  const { width, height } = scene;
  const sky = SKIES[scene.sky];
  const rails = Math.round(height * 0.78);
  const stars = Array.from({ length: 40 }, (_, n) => circle((n * 197) % width, (n * 89) % (rails * 0.6), 1 + (n % 3) * 0.6, '#ffffff', 'opacity="0.8"')).join('');
  const clouds = [0.16, 0.52, 0.8].map((part, n) => `<ellipse cx="${width * part}" cy="${58 + n * 26}" rx="52" ry="14" fill="#ffffff" opacity="0.8"/><ellipse cx="${width * part + 26}" cy="${48 + n * 26}" rx="34" ry="16" fill="#ffffff" opacity="0.8"/>`).join('');
  const sleepers = Array.from({ length: Math.ceil(width / 32) }, (_, n) => rect(n * 32 + 4, rails + 5, 18, 12, '#5c4633', 'rx="2"')).join('');
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}">
    <defs><linearGradient id="sky" x1="0" y1="0" x2="0" y2="1"><stop offset="0" stop-color="${sky.top}"/><stop offset="1" stop-color="${sky.bottom}"/></linearGradient></defs>
    ${rect(0, 0, width, height, 'url(#sky)')}
    ${scene.sky === 'night' ? stars : ''}${circle(width * 0.84, height * 0.16, 30, sky.light, 'opacity="0.95"')}
    ${scene.sky === 'day' ? clouds : ''}
    <path d="M0 ${rails - 40} Q${width * 0.2} ${rails - 150} ${width * 0.45} ${rails - 50} T${width} ${rails - 90} V${rails} H0 z" fill="${sky.hills}"/>
    <path d="M0 ${rails - 10} Q${width * 0.3} ${rails - 70} ${width * 0.62} ${rails - 20} T${width} ${rails - 40} V${rails} H0 z" fill="${sky.hills}" opacity="0.7"/>
    ${rect(0, rails, width, height - rails, sky.ground)}${sleepers}${rect(0, rails, width, 6, '#7c838c')}
    ${inside(rails)}
  </svg>`;
}

const folder = fileURLToPath(new URL('railway/', import.meta.url));
rmSync(folder, { recursive: true, force: true });
mkdirSync(folder);
for (const scene of SCENES) {
  const svg = page(scene, (rails) => scene.draw({ ...scene, rails }));
  const image = sharp(Buffer.from(svg)).flatten();
  const format = scene.file.endsWith('.png') ? image.png({ palette: false, compressionLevel: 9 }) : scene.file.endsWith('.webp') ? image.webp({ quality: 86 }) : image.jpeg({ quality: 88 });
  await format.toFile(join(folder, scene.file));
  writeFileSync(join(folder, scene.file.replace(/\.\w+$/, '.txt')), `${scene.caption}\n`);
}

const frames = mkdtempSync(join(tmpdir(), 'railway-'));
const COUNT = 36;
for (let frame = 0; frame < COUNT; frame++) {
  const svg = page({ width: 512, height: 384, sky: 'day' }, (rails) => steamEngine(-120 + frame * 11, rails, '#2f7d4f', '#e3b341'));
  await sharp(Buffer.from(svg)).flatten().png().toFile(join(frames, `${String(frame).padStart(3, '0')}.png`));
}
const encoding = ['-c:v', 'libx264', '-crf', '23', '-pix_fmt', 'yuv420p', '-movflags', '+faststart', '-fflags', '+bitexact'];
execFileSync('ffmpeg', ['-v', 'error', '-framerate', '24', '-i', join(frames, '%03d.png'), ...encoding, join(folder, CLIP.file)]);
writeFileSync(join(folder, CLIP.file.replace('.mp4', '.txt')), `${CLIP.caption}\n`);
rmSync(frames, { recursive: true });
