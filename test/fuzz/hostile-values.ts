import fc from 'fast-check';

const words = (text: string): string[] => text.trim().split(/ +/);

/** Texts that programs have stumbled over. */
const KNOWN_TEXTS = [
  ...[
    '',
    ' ',
    'a.txt ',
    ' a.txt',
    "' OR 1=1 --",
    '"; DROP TABLE files; --',
    '\u0000',
    'a\u0000.txt',
    '\u0001\u001b[31m',
  ],
  ...['\r\nX-Injected: yes', '\n', '\t', '\u007f', '\u0085', '\u00a0', '\u00ad'],
  ...words(`. .. ... - _ ~ * ? # & = + ; , " ' \` $(id) %s%n ../../../etc/passwd ..\\..\\windows\\win.ini /etc/passwd`),
  ...words(
    'C:\\x.txt //host/share file:///etc/passwd CON NUL.txt aux.jpg COM1.png a.txt. .a.txt a. .txt a.TXT a.jpg.txt',
  ),
  ...words('__proto__ __proto__.txt constructor constructor.txt prototype toString hasOwnProperty then'),
  ...words('null true false NaN Infinity [] {} <script>alert(1)</script> {{1+1}} %{x} \\u0000'),
  ...['\u202e', 'a\u202etxt.exe', '\u200b', '\u200d', '\ufeff', '\ufffe', '\uffff', '\u2028', '\u2029', '\ufffd'],
  ...words('e\u0301.txt \u00e9.txt \ufb01.txt \u0130.txt \u1e9e.txt \u212b.txt \ufdfa \u0958 \u1100\u1161'),
  ...words(
    '\ud800 \udc00 \udc00\ud800 a\ud800b.txt \ud83d \ud83d\ude00.jpg \u{10ffff} \u{e0001} \u{1f468}\u200d\u{1f469}',
  ),
  ...words('% %0 %00 %zz %2e%2e%2f %252e %c0%ae %ed%a0%80 %ff %u0041 %22 a%22b.txt'),
];

/** Lengths beside the limits: of names in bytes, of names before they are normalized, of parts of a path. */
const LENGTHS = [127, 128, 129, 254, 255, 256, 1023, 1024, 1025, 5000];

const longText = fc
  .tuple(fc.constantFrom(...words('a \u00e9 \u0301 \u{1f600} \ud800 % . / " \u0000'), ' '), fc.constantFrom(...LENGTHS))
  .map(([unit, length]) => unit.repeat(length));

/** Any text: of every plane, with lone surrogates, known to be hard, or long. */
export const hostileText: fc.Arbitrary<string> = fc.oneof(
  { weight: 4, arbitrary: fc.constantFrom(...KNOWN_TEXTS) },
  { weight: 2, arbitrary: fc.string({ unit: 'binary', maxLength: 30 }) },
  { weight: 1, arbitrary: fc.string({ unit: 'grapheme', maxLength: 30 }) },
  { weight: 1, arbitrary: fc.array(fc.nat(0xffff), { maxLength: 10 }).map((units) => String.fromCharCode(...units)) },
  { weight: 1, arbitrary: longText },
);

/** Numerals, as JSON or a query has them: some are no numbers, or none that a program can hold. */
export const hostileNumeral: fc.Arbitrary<string> = fc.oneof(
  fc.constantFrom(
    ...words('0 -0 1 -1 0.5 1.005 59.999999 60 60.000001 61 1000 1001 150000000 150000001 2147483647 2147483648'),
    ...words('4294967296 9007199254740991 9007199254740993 9223372036854775808 1e15 1e21 1e308 1e309 -1e309 5e-324'),
    ...words('1e-400 1E2 1e+2 0.1e1'),
    ...['1'.repeat(400), '0.'.padEnd(400, '1')],
  ),
  fc.constantFrom('', ' ', ...words('01 +1 .5 5. 0x10 0b1 1_000 1,000 1e --1 NaN Infinity ٣ １')),
  fc.double().map(String),
  fc.integer().map(String),
);

/** A name of a file with an extension that is accepted, and any stem. */
export const hostileFilename: fc.Arbitrary<string> = fc
  .tuple(hostileText, fc.constantFrom('.txt', '.jpg', '.png', '.mp4', '.TXT', '', '', ''))
  .map((parts) => parts.join(''));

/** Any value that JSON can have, of little depth. */
export const hostileJson: fc.Arbitrary<unknown> = fc.oneof(
  fc.jsonValue({ maxDepth: 2 }),
  hostileText,
  fc.constantFrom(null, true, false, 0, -0, 1e308, [], {}, [[]], [null], { __proto__: null }),
);
