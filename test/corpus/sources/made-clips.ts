import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, readFile, rename } from 'node:fs/promises';
import { extname, join } from 'node:path';
import { promisify } from 'node:util';
import type { Original } from '../corpus-file.js';

/** What is filmed: a moving test pattern, the same with noise (large samples), and a zoom. */
const SCENES = {
  pattern: 'testsrc2=size=320x240:rate=25:duration=2',
  noise: 'testsrc2=size=208x160:rate=24:duration=1.5,noise=alls=25:allf=t:all_seed=7',
  zoom: 'mandelbrot=size=256x144:rate=30:end_scale=0.2,trim=duration=1.5',
  odd: 'testsrc2=size=322x182:rate=30000/1001:duration=1',
} as const;

const H264 = '-c:v libx264 -preset veryfast -pix_fmt yuv420p';
const H265 = '-c:v libx265 -preset ultrafast -x265-params log-level=none -pix_fmt yuv420p';
const VP9 = '-c:v libvpx-vp9 -deadline realtime -cpu-used 8 -b:v 300k';
const AV1 = '-c:v libsvtav1 -preset 12 -crf 45 -svtav1-params lp=1';
const SOUND = '-f lavfi -i sine=frequency=440:duration=2';

/** Output options by filename. `{sound}` adds a sound track to the input. */
const RECIPES: Readonly<Record<string, string>> = {
  'h264.mp4': H264,
  'h264-faststart.mp4': `{sound} ${H264} -c:a aac -movflags +faststart`,
  'h264-baseline.mp4': `${H264} -profile:v baseline -g 12`,
  'h264-b-frames.mp4': `${H264} -bf 3 -b_strategy 2 -refs 4 -preset medium`,
  'h264-slices.mp4': `${H264} -x264-params slices=4`,
  'h264-interlaced.mp4': `${H264} -flags +ilme+ildct -x264-params interlaced=1`,
  'h264-lossless.mp4': '-c:v libx264 -preset ultrafast -qp 0 -pix_fmt yuv444p',
  'h264-10-bit.mp4': '-c:v libx264 -preset veryfast -pix_fmt yuv420p10le',
  'h264-avc3.mp4': `${H264} -tag:v avc3`,
  'h264-camera.m4v': `{sound} ${H264} -c:a aac -f mp4 -brand M4V`,
  'h264-sound-first.mp4': `{sound} -map 1:a -map 0:v ${H264} -c:a aac`,
  'h264-fragmented.mp4': `{sound} ${H264} -c:a aac -g 12 -movflags +frag_keyframe+empty_moov+default_base_moof`,
  'h264-fragment-per-frame.mp4': `${H264} -movflags +frag_every_frame+empty_moov+default_base_moof`,
  'h264-hybrid.mp4': `${H264} -g 12 -movflags +frag_keyframe`,
  'h264-dash.mp4': `${H264} -g 12 -bf 2 -movflags +dash+global_sidx+frag_keyframe+default_base_moof`,
  'h264-delay-moov.mp4': `{sound} ${H264} -c:a aac -bf 2 -movflags +delay_moov+frag_keyframe`,
  'h264.mkv': `{sound} ${H264} -c:a libvorbis`,
  'h264-index-first.mkv': `${H264} -reserve_index_space 2048`,
  'h264-live.mkv': `${H264} -live 1`,
  'h264.avi': `{sound} ${H264} -bf 0 -bsf:v h264_mp4toannexb -c:a libmp3lame`,
  'h264.flv': `{sound} ${H264} -c:a aac -ar 44100`,
  'hevc-hvc1.mp4': `${H265} -tag:v hvc1`,
  'hevc-10-bit.mov': '-c:v libx265 -preset ultrafast -x265-params log-level=none -pix_fmt yuv420p10le -tag:v hvc1',
  'hevc-fragmented.mp4': `${H265} -tag:v hvc1 -movflags +frag_keyframe+empty_moov+default_base_moof`,
  'hevc.mkv': `{sound} ${H265} -c:a libopus`,
  'vp8.webm': '-c:v libvpx -deadline realtime -b:v 400k',
  'vp8-live.webm': '-c:v libvpx -deadline realtime -b:v 400k -live 1 -dash 0',
  'vp9.webm': VP9,
  'vp9-hidden-frames.webm': '-c:v libvpx-vp9 -deadline good -cpu-used 8 -b:v 200k -auto-alt-ref 1 -lag-in-frames 16',
  'vp9-10-bit.mkv': '-c:v libvpx-vp9 -deadline realtime -cpu-used 8 -pix_fmt yuv420p10le -b:v 300k',
  'vp9.mp4': VP9,
  'av1.mp4': AV1,
  'av1-fragmented.mp4': `${AV1} -g 12 -movflags +frag_keyframe+empty_moov+default_base_moof`,
  'av1.webm': `{sound} ${AV1} -c:a libopus`,
  'mpeg4.mp4': '-c:v mpeg4 -q:v 5',
  'mpeg4.avi': '{sound} -c:v mpeg4 -q:v 5 -c:a libmp3lame',
  'mpeg4-xvid-b-frames.avi': '-c:v libxvid -q:v 5 -bf 2',
  'msmpeg4.avi': '-c:v msmpeg4 -q:v 5',
  'mpeg2.mkv': '-c:v mpeg2video -q:v 5 -bf 2',
  'mpeg1.avi': '-c:v mpeg1video -q:v 5',
  'mjpeg.mov': '-c:v mjpeg -q:v 5 -pix_fmt yuvj420p',
  'mjpeg.avi': '{sound} -c:v mjpeg -q:v 5 -pix_fmt yuvj422p -c:a pcm_s16le',
  'prores.mov': '-c:v prores_ks -profile:v 1',
  'animation.mov': '-c:v qtrle -t 0.5',
  'png.mov': '-c:v png -t 0.4',
  'uncompressed.mov': '-c:v rawvideo -pix_fmt uyvy422 -t 0.2',
  'ffv1.mkv': '-c:v ffv1 -level 3 -slicecrc 1 -t 0.5',
  'huffyuv.avi': '-c:v huffyuv -pix_fmt yuv422p -t 0.3',
  'theora.mkv': '-c:v libtheora -q:v 5',
  'wmv2.wmv': '-c:v wmv2 -q:v 5',
  'flv1.flv': '-c:v flv -q:v 5',
};

/** Copies without another encoding: what an editor, a phone or a stream recorder makes of a clip. */
const REMUXED: readonly (readonly [name: string, from: string, options: string])[] = [
  ['cut-with-edit-list.mp4', 'h264-b-frames.mp4', '-ss 0.6 -i {in} -c copy'],
  ['upright.mp4', 'h264.mp4', '-display_rotation 90 -i {in} -c copy'],
  ['remuxed.mkv', 'h264-b-frames.mp4', '-i {in} -c copy'],
  ['remuxed.mp4', 'h264.mkv', '-i {in} -c:v copy -c:a aac'],
  ['cut.webm', 'vp9.webm', '-ss 0.4 -t 1 -i {in} -c copy'],
  ['piped.webm', 'vp8.webm', '-i {in} -c copy -seekable 0 -f webm'],
  ['without-cues.mkv', 'h264.mp4', '-i {in} -c copy -live 1'],
  ['annex-b.avi', 'h264-baseline.mp4', '-i {in} -c copy -bsf:v h264_mp4toannexb'],
];

const MAX_SECONDS = 60;

const EXACT = '-map_metadata -1 -fflags +bitexact -flags:v +bitexact -threads 1';

/**
 * Makes clips of every codec and container that intact clips come in, into `folder`, unless an earlier run did. Encoders that
 * this ffmpeg lacks are left out and reported.
 *
 * @param count recipes to use; each further round films another scene
 */
export async function madeClips(folder: string, count: number, log: (line: string) => void): Promise<Original[]> {
  await mkdir(folder, { recursive: true });
  const originals: Original[] = [];
  for (const [index, job] of jobsFor(count, folder).entries()) {
    if (index % 10 === 0) log(`clip ${index + 1} of ${count}`);
    const output = join(folder, job.file);
    const failure = existsSync(output) ? undefined : await make(job, folder).catch((error: Error) => error);
    if (failure !== undefined) {
      log(`${job.file} is left out: ${failure.message.trim().split('\n').at(-1)}`);
      continue;
    }
    const origin = `ffmpeg ${job.file.replace(/^\d+-/, '')} of ${job.scene}`;
    const bytes = await readFile(output);
    originals.push({ format: 'clip', extension: extname(job.file), origin, bytes, isDamaged: true });
  }
  return originals;
}

async function make({ file, args }: Job, folder: string): Promise<undefined> {
  const unfinished = join(folder, `unfinished-${file}`);
  const all = ['-nostdin', '-v', 'error', '-y', ...args, ...EXACT.split(' '), unfinished];
  await promisify(execFile)('ffmpeg', all, { timeout: MAX_SECONDS * 1000 });
  await rename(unfinished, join(folder, file));
}

interface Job {
  readonly file: string;
  readonly scene: string;
  readonly args: readonly string[];
}

function jobsFor(count: number, folder: string): Job[] {
  const scenes = Object.entries(SCENES);
  const filmed = (round: number) =>
    Object.entries(RECIPES).map(([name, options], index): Job => {
      const [scene, source] = scenes[(index + round) % scenes.length]!;
      const withSound = options.includes('{sound}') ? [...words(SOUND), '-shortest'] : [];
      const [shortest, sound] = [withSound.slice(-1), withSound.slice(0, -1)];
      const args = ['-f', 'lavfi', '-i', source, ...sound, ...words(options.replace('{sound}', '')), ...shortest];
      return { file: `${round}-${name}`, scene, args };
    });
  const remuxed = REMUXED.map(([name, from, options]): Job => {
    const args = words(options).map((word) => (word === '{in}' ? join(folder, `0-${from}`) : word));
    return { file: `0-${name}`, scene: 'pattern', args };
  });
  return [...filmed(0), ...remuxed, ...scenes.slice(1).flatMap((_, i) => filmed(i + 1))].slice(0, count);
}

const words = (text: string): string[] => text.replaceAll("'", '').split(' ').filter(Boolean);
