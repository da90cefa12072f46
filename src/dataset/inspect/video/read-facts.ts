import { CustomSource, Input, type InputAudioTrack, type InputVideoTrack, MATROSKA, MP4, QTFF, WEBM } from 'mediabunny';
import type { FileBytes } from '../byte-source.js';
import { type ClipFacts, type Sound, statedFacts } from '../inspection.js';
import { InspectionError, isInputOutputError, isOutOfMemory } from '../inspection-error.js';

/** Ten hours of video have 20 MB of tables, which mediabunny reads at once. */
const MAX_READ_BYTES = 64 << 20;
const MAX_CACHED_BYTES = 4 << 20;

/**
 * Facts by mediabunny, which believes headers and tables, so they prove nothing. Empty for an unknown or unreadable container.
 *
 * @throws InspectionError for sound without video; the system's errors and failed allocations
 */
export async function readWithMediabunny(file: FileBytes): Promise<ClipFacts> {
  const source = new CustomSource({
    getSize: () => file.size,
    read: (start, end) => {
      if (end - start > MAX_READ_BYTES) throw new Error(`a header of ${end - start} bytes`);
      return file.copy(start, end);
    },
    maxCacheSize: MAX_CACHED_BYTES,
    // The read that waits for the bytes throws it, too.
    handleUnhandledError: () => {},
  });
  const input = new Input({ source, formats: [MP4, QTFF, MATROSKA, WEBM] });
  try {
    const video = await input.getPrimaryVideoTrack();
    const audio = await input.getPrimaryAudioTrack();
    if (video === null && audio !== null) {
      const message = 'has no video track, so there is nothing to train on. Upload a file that has one.';
      throw new InspectionError('NOT_A_VIDEO', message);
    }
    if (video === null) return {};
    const sound = audio === null ? undefined : await soundOf(audio);
    return { ...(await factsOf(video)), hasAudio: audio !== null, ...(sound && { sound }) };
  } catch (error) {
    if (error instanceof InspectionError || isInputOutputError(error) || isOutOfMemory(error)) throw error;
    return {};
  } finally {
    input.dispose();
  }
}

async function factsOf(video: InputVideoTrack): Promise<ClipFacts> {
  const { codec, displayWidth: width, displayHeight: height } = video;
  const { packetCount: frames, averagePacketRate: framesPerSecond } = await video.computePacketStats();
  const durationSeconds = await video.computeDuration();
  const sides = width > 0 && height > 0 && { width, height };
  return statedFacts({ codec, ...sides, frames, framesPerSecond, durationSeconds });
}

async function soundOf(audio: InputAudioTrack): Promise<Sound> {
  const { codec, sampleRate, numberOfChannels: channels } = audio;
  return statedFacts({ codec, sampleRate, channels, durationSeconds: await audio.computeDuration() });
}
