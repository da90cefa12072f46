import { describe, expect, test } from 'vitest';
import { groupsToSave, kohyaGroupsOf, kohyaOf } from '../../../src/dataset/import/entry-paths.js';
import { flattened } from '../../../src/dataset/import/flatten.js';
import { type ImportChoices, type ImportEntry, surveyEntries } from '../../../src/dataset/import/survey.js';

const entryOf = (path: string, text: string): ImportEntry => ({
  path,
  sizeBytes: Buffer.byteLength(text),
  modified: 0,
  bytes: async () => Buffer.from(text),
});

/** By name in the dataset, the path of the entry, or the text from a table; and what is skipped. */
async function imported(
  files: Record<string, string>,
  { known, ...choices }: ImportChoices & { known?: readonly string[] } = {},
) {
  const entries = Object.entries(files).map(([path, text]) => entryOf(path, text));
  const survey = await surveyEntries(entries, { choices, known });
  const placed = flattened(survey.files).map(({ folder, name, path, content }) => {
    return { folder, name, from: 'text' in content ? `“${content.text}”` : path };
  });
  return {
    ...survey,
    files: Object.fromEntries(placed.map(({ name, from }) => [name, from])),
    skipped: Object.fromEntries(survey.skipped.map(({ code, path, reason }) => [`${code} ${path}`, reason])),
    groups: kohyaGroupsOf(placed),
  };
}

describe('shapes', () => {
  test('of one folder and of nested folders become flat, with the folder before a name that is taken', async () => {
    const { files, skipped } = await imported({
      'w/1.jpg': 'a',
      'w/1.txt': 'red',
      'w/night/1.jpg': 'b',
      'w/night/1.caption': 'dark',
      'w/night/2.jpg': 'c',
    });
    expect(files).toEqual({
      '1.jpg': 'w/1.jpg',
      '1.txt': 'w/1.txt',
      'night_1.jpg': 'w/night/1.jpg',
      'night_1.txt': 'w/night/1.caption',
      '2.jpg': 'w/night/2.jpg',
    });
    expect(skipped).toEqual({});
  });

  test('of kohya keep their repeats, and what only regularizes', async () => {
    const { groups } = await imported({
      'k/img/10_red wagon/1.jpg': 'a',
      'k/img/10_red wagon/1.caption': 'red',
      'k/img/3_dog/more/2.jpg': 'b',
      'k/reg/1_dog/3.jpg': 'c',
      'k/4.jpg': 'd',
    });
    expect(groups).toEqual([
      { name: 'red wagon', repeats: 10, is_reg: false, files: ['1.jpg', '1.txt'] },
      { name: 'dog', repeats: 3, is_reg: false, files: ['2.jpg'] },
      { name: '1_dog', repeats: 1, is_reg: true, files: ['3.jpg'] },
    ]);
    // A file that has a group keeps it, and so do the repeats of a group.
    const files = [{ filename: '2.jpg', group: 'cat' }];
    expect(groupsToSave(groups, { name: 'k', files, groups: [{ name: 'red wagon' }] })).toEqual([
      { name: 'red wagon', change: { add: ['1.jpg', '1.txt'] } },
      { name: '1_dog', change: { add: ['3.jpg'], repeats: 1, is_reg: true } },
    ]);
    // Trainers leave out a folder with no repeats.
    for (const other of ['a/0_dog', '20_', 'dog', '2024_summer']) expect(kohyaOf(other)).toBeUndefined();
  });

  test('keep a caption with the picture whose folders it shares', async () => {
    const paths = ['w/day/1.jpg', 'w/night/1.jpg', 'w/night/captions/1.txt', 'x/img/1.jpg', 'x/txt/1.txt'];
    const parallel = ['y/img/a/1.jpg', 'y/img/b/1.jpg', 'y/txt/b/1.txt'];
    const { files } = await imported(Object.fromEntries([...paths, ...parallel].map((path) => [path, 'a'])));
    expect(files).toMatchObject({ 'night_1.txt': 'w/night/captions/1.txt', 'img_1.txt': 'x/txt/1.txt' });
    expect(files).toMatchObject({ 'b_1.jpg': 'y/img/b/1.jpg', 'b_1.txt': 'y/txt/b/1.txt' });
    expect(files).not.toHaveProperty(['1.txt']);
  });

  test('say why each entry is skipped', async () => {
    const { files, skipped } = await imported({
      '__MACOSX/w/._1.jpg': 'x',
      'w/_controls/1.jpg': 'x',
      'w/1.jpg': 'a',
      'w/README.txt': 'Made with …',
      'w/raw.psd': 'x',
      'w/2.png': '',
      'w/a\tb.jpg': 'x',
      'w/config.jsonl': '{"resolution": 512}',
    });
    expect(files).toEqual({ '1.jpg': 'w/1.jpg' });
    expect(skipped).toEqual({
      'HIDDEN __MACOSX/w/._1.jpg': 'An operating system or a trainer made it, or hides it.',
      'HIDDEN w/_controls/1.jpg': 'An operating system or a trainer made it, or hides it.',
      'NO_MEDIA w/README.txt': 'There is no image or clip of this name.',
      'OTHER_TYPE w/raw.psd': expect.stringContaining('is not an image, video or caption'),
      'EMPTY w/2.png': 'It is empty. Copy it again from its source.',
      'INVALID_NAME w/a\tb.jpg': expect.stringContaining('contains a control character'),
      'NO_TABLE w/config.jsonl': 'It has no column with the names of files. Its columns are resolution.',
    });
  });
});

test('names that differ by case or Unicode form stay apart', async () => {
  const { files } = await imported({
    'w/e\u0301.jpg': 'a',
    'w/\u00e9.jpg': 'b',
    'w/\u00e9.txt': 'red',
    'w/A.jpg': 'c',
    'w/a.jpg': 'd',
  });
  expect(files).toEqual({
    '\u00e9.jpg': 'w/e\u0301.jpg',
    'w_\u00e9.jpg': 'w/\u00e9.jpg',
    'w_\u00e9.txt': 'w/\u00e9.txt',
    'A.jpg': 'w/A.jpg',
    'a.jpg': 'w/a.jpg',
  });
});

describe('captions in several files', () => {
  const TWO = { '1.jpg': 'a', '1.txt': 'tags', '1.caption': 'A sentence.', '2.jpg': 'b', '2.caption': 'Another.' };

  test('come from .txt first, and from others where there is none', async () => {
    const { files, captionSources, severalSources, skipped } = await imported(TWO);
    expect(files).toMatchObject({ '1.txt': '1.txt', '2.txt': '2.caption' });
    expect([captionSources, severalSources]).toEqual([
      [
        { name: '.txt', captions: 1 },
        { name: '.caption', captions: 2 },
      ],
      1,
    ]);
    expect(skipped).toEqual({ 'OTHER_CAPTION 1.caption': 'The caption of 1 comes from 1.txt.' });
  });

  test('of Ideogram, which are JSON, stand beside the others', async () => {
    const { files, skipped } = await imported({ '1.jpg': 'a', '1.json': '{}', '1.txt': 'red', 'other.json': '{}' });
    expect(files).toEqual({ '1.jpg': '1.jpg', '1.json': '1.json', '1.txt': '1.txt' });
    expect(skipped).toEqual({ 'NO_MEDIA other.json': 'There is no image or clip of this name.' });
  });

  test('come from the one that is chosen', async () => {
    expect((await imported(TWO, { captions: '.caption' })).files).toMatchObject({ '1.txt': '1.caption' });
    const table = { ...TWO, 'metadata.csv': 'file_name,text\n1.jpg,from the table\n' };
    expect((await imported(table)).files).toMatchObject({ '1.txt': '1.txt' });
    const chosen = await imported(table, { captions: 'metadata.csv' });
    expect(chosen.files).toMatchObject({ '1.txt': '“from the table”', '2.txt': '2.caption' });
  });
});

describe('tables of captions', () => {
  const MEDIA = { 'w/train/1.jpg': 'a', 'w/train/2.mp4': 'b', 'w/other/2.mp4': 'c' };

  test.each([
    [
      'w/train/metadata.jsonl',
      '{"file_name":"1.jpg","text":"red"}\n\n{"file_name":"2.mp4","text":"blue"}\n',
      'file_name',
      'text',
    ],
    ['w/metadata.csv', '\ufefffile_name;Prompt\r\ntrain/1.jpg;red\r\n"train/2.mp4";"blue"', 'file_name', 'Prompt'],
    [
      'w/clips.jsonl',
      '{"video":"/data/train/2.mp4","caption":"blue"}\n{"video":"D:\\\\x\\\\1.jpg","caption":"red"}',
      'video',
      'caption',
    ],
    ['w/train/captions.json', '{"1.jpg":["red","crimson"],"2.mp4":"blue"}', 'file', 'caption'],
    ['w/meta_cap.json', '{"train/1":{"caption":"red","tags":"r"},"train/2":{"caption":"blue"}}', 'file', 'caption'],
    [
      'w/metadata.json',
      '[{"image":"train/1.jpg","text":"red"},{"image":"train/2.mp4","text":"blue"}]',
      'image',
      'text',
    ],
  ])('%s', async (path, text, fileColumn, captionColumn) => {
    const { files, tables, skipped } = await imported({ ...MEDIA, [path]: text });
    expect(files).toMatchObject({ '1.txt': '“red”', '2.txt': '“blue”', '2.mp4': 'w/train/2.mp4' });
    expect(files).toHaveProperty(['other_2.mp4'], 'w/other/2.mp4');
    expect(tables).toMatchObject([{ path, fileColumn, captionColumn, used: 2 }]);
    expect(skipped).toEqual({});
  });

  test('have columns that can be chosen, and say what can not be used', async () => {
    const csv = 'id,file_name,text,short\n7,1.jpg,"A ""red"" wagon,\nat night",red\n8,9.jpg,x,y\n9,1.jpg,a,b,c\n';
    const { files, tables, skipped } = await imported({ '1.jpg': 'a', 'metadata.csv': csv });
    expect(files['1.txt']).toBe('“A "red" wagon,\nat night”');
    expect(tables[0]).toMatchObject({ columns: ['id', 'file_name', 'text', 'short'], used: 1 });
    expect(Object.keys(skipped)).toEqual(['TABLE_ROW metadata.csv']);
    const chosen = await imported({ '1.jpg': 'a', 'metadata.csv': csv }, { captionColumn: 'short' });
    expect(chosen.files['1.txt']).toBe('“red”');
    // A choice for another table.
    const other = await imported({ '1.jpg': 'a', 'metadata.csv': csv }, { captionColumn: 'Short' });
    expect(other.tables[0]).toMatchObject({ captionColumn: 'text' });
  });

  test.each([
    ['a flattened name', ['1.jpg', 'night_1.jpg'], 'night/1.jpg,red', { 'night_1.txt': '“red”' }],
    ['the whole path', ['train/1.jpg'], 'test/1.jpg,blue\ntrain/1.jpg,red', { '1.txt': '“red”' }],
    ['another extension', ['1.JPG', '2.jpg'], '1.jpg,red\n2.webp,blue', { '1.txt': '“red”', '2.txt': '“blue”' }],
    ['blank captions', ['1.jpg'], '1.jpg,""', { '1.txt': '“”' }],
  ])('find files by %s', async (_, paths, rows, captions) => {
    const media = Object.fromEntries(paths.map((path) => [path, 'a']));
    const { files } = await imported({ ...media, 'captions.csv': `file_name,text\n${rows}\n` });
    expect(Object.fromEntries(Object.entries(files).filter(([name]) => name.endsWith('.txt')))).toEqual(captions);
  });

  test('name files in the columns that each row has', async () => {
    const rows = '{"image_path":"1.jpg","caption":"red"}\n{"video_path":"2.mp4","caption":"blue"}\n';
    const { files } = await imported({ '1.jpg': 'a', '2.mp4': 'b', 'all.jsonl': rows });
    expect(files).toMatchObject({ '1.txt': '“red”', '2.txt': '“blue”' });
  });

  test('alone are for the files of the dataset, by their names', async () => {
    const known = ['1.jpg', '1.txt', '2.jpg', '2.json', '3.mp4', '4.jpg', '4.png', '5.TXT'];
    const csv =
      'file_name,text\n1.jpg,red\ndata/2.json,{}\n3,blue\n4.jpg,two\n4.png,two\n5.TXT,five\n9.jpg,gone\n1.jpg,other\n2.jpg,""\n';
    const { files, tables, skipped } = await imported({ 'captions.csv': csv }, { known });
    expect(files).toEqual({
      '1.txt': '“red”',
      '2.json': '“{}”',
      '2.txt': '“”',
      '3.txt': '“blue”',
      '4.txt': '“two”',
      '5.TXT': '“five”',
    });
    expect([tables[0]?.used, Object.keys(skipped)]).toEqual([6, ['TABLE_ROW captions.csv']]);
    const { skipped: alone } = await imported({ 'captions.csv': csv });
    expect(Object.values(alone)).toEqual(['Its images and clips are not there. Add it to the dataset that has them.']);
  });

  test.each([
    ['metadata.csv', Buffer.from('\ufefffile_name,text\n1.jpg,red\n', 'utf16le'), 'not UTF-8'],
    ['metadata.csv', Buffer.from(`file_name,text${','.repeat(3_000_000)}`), 'more than 2,000,000 values'],
    ['captions.json', Buffer.from('['.repeat(3_000_000)), 'more than 2,000,000 values'],
    ['captions.json', Buffer.from(`{"1.jpg":${'['.repeat(1_000_000)}`), 'It is not JSON.'],
  ])('%s that would take all memory, or is in another encoding, is named', async (path, bytes, words) => {
    const entries = [entryOf('1.jpg', 'a'), { ...entryOf(path, ''), bytes: async () => bytes }];
    const { skipped } = await surveyEntries(entries);
    expect(skipped).toMatchObject([{ code: 'NO_TABLE', path, reason: expect.stringContaining(words) }]);
  });

  test('that are damaged cost only their lines', async () => {
    const { files, skipped } = await imported({
      '1.jpg': 'a',
      'metadata.jsonl': '{"file_name":"1.jpg","text":"red"}\n{"file_name":"2.j',
      'captions.json': '{"1.jpg": ',
    });
    expect(files['1.txt']).toBe('“red”');
    expect(skipped).toEqual({
      'TABLE_ROW metadata.jsonl': 'Line 2 is not a JSON object.',
      'NO_TABLE captions.json': 'It has no rows: It is not JSON.',
    });
  });
});
