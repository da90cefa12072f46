import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** Debian packages that contain pictures and clips of many kinds: photos, wallpapers, game graphics, screenshots, test images. */
const PACKAGES = `
    golang-golang-x-image-dev golang-1.24-src python3-pygame python-pygame-doc python3-sklearn python3-skimage
    opencv-data libtiff-doc python-pil-doc imagemagick-7-doc mate-backgrounds ukui-wallpapers
    lomiri-wallpapers-16.04 lomiri-wallpapers-20.04 desktop-base marble-data neverball-data lincity-ng-data
    kstars-data wesnoth-1.18-data gimp-help-en
    phosh-wallpapers budgie-backgrounds sway-backgrounds extremetuxracer-data darktable pingus-data pathological
    krita-data breeze-wallpaper gnome-backgrounds tuxpaint-stamps-default opencv-doc libreoffice-common
    openclipart-libreoffice plasma-workspace-wallpapers stellarium-data trigger-rally-data hedgewars-data
    widelands-data torcs-data supertuxkart-data`;

export interface UnpackedPackage {
  readonly name: string;
  readonly folder: string;
}

/**
 * Downloads and unpacks the packages that are not in the cache yet, without installing them. Needs apt-get and dpkg, and no
 * special rights. Packages that this release of Debian does not have are left out and reported.
 */
export async function unpackPackages(cache: string, log: (line: string) => void): Promise<UnpackedPackage[]> {
  const names = PACKAGES.trim().split(/\s+/);
  const root = join(cache, 'packages');
  await mkdir(root, { recursive: true });
  const unpacked: UnpackedPackage[] = [];
  for (const [index, name] of names.entries()) {
    const folder = join(root, name);
    if (!existsSync(folder)) {
      log(`package ${index + 1} of ${names.length}: ${name}`);
      const failure = await unpack(name, root).catch((error: Error) => error);
      if (failure !== undefined) {
        log(`${name} is left out: ${failure.message.trim().split('\n').at(-1)}`);
        continue;
      }
    }
    unpacked.push({ name, folder });
  }
  return unpacked;
}

async function unpack(name: string, root: string): Promise<undefined> {
  const download = await mkdtemp(join(root, '.download-'));
  try {
    await run('apt-get', ['download', '-qq', name], { cwd: download });
    const [archive] = await readdir(download);
    if (archive === undefined) throw new Error('apt-get downloaded nothing');
    await run('dpkg', ['-x', archive, 'unpacked'], { cwd: download });
    const [, version = ''] = archive.split('_');
    await writeFile(join(download, 'unpacked', '.version'), decodeURIComponent(version));
    await rename(join(download, 'unpacked'), join(root, name));
  } finally {
    await rm(download, { recursive: true, force: true });
  }
}
