import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Refusal } from '../../../../src/base/index.js';
import { documentSchema, list, optionalText, parseXml, requiredText, XmlWriter } from '../../../../src/s3/xml/index.js';

const schema = documentSchema({
  root: 'Delete',
  fields: {
    Quiet: optionalText(8),
    Object: list({ Key: requiredText(20), VersionId: optionalText(10) }, 3),
  },
  elementsMax: 12,
});
const wide = documentSchema({
  root: 'Delete',
  fields: { Object: list({ Key: requiredText(100_000) }, 100_000) },
  elementsMax: 1_000_000,
});

const bytes = (document: string) => Buffer.from(document);
const parse = (document: string) => parseXml(bytes(document), schema);
const keys = async (document: string) => (await parseXml(bytes(document), wide)).Object.map(({ Key }) => Key);
const object = (key: string) => `<Object><Key>${key}</Key></Object>`;

async function expectMalformed(document: string | Uint8Array) {
  await expect(parseXml(Buffer.from(document as string), schema)).rejects.toMatchObject({ code: 'MalformedXML' });
}

describe('what is read', () => {
  test('fields, lists, what is absent', async () => {
    await expect(
      parse(
        '<Delete><Quiet>true</Quiet><Object><Key>a</Key><VersionId>v</VersionId></Object><Object><Key/></Object></Delete>',
      ),
    ).resolves.toEqual({
      Quiet: 'true',
      Object: [
        { Key: 'a', VersionId: 'v' },
        { Key: '', VersionId: null },
      ],
    });
    await expect(parse('<Delete/>')).resolves.toEqual({ Quiet: null, Object: [] });
  });

  test('with declaration, byte order mark, namespace, prefixes, comments, instructions, white space', async () => {
    const document =
      '\ufeff<?xml version="1.0" encoding="UTF-8"?>\r\n<!-- x --><s3:Delete xmlns:s3="http://s3.amazonaws.com/doc/2006-03-01/">\n' +
      '  <s3:Object xmlns="urn:x"><!-- y --><Key> a b </Key></s3:Object><?pi z?>\n</s3:Delete>\n<!-- z -->';
    await expect(parse(document)).resolves.toEqual({ Quiet: null, Object: [{ Key: ' a b ', VersionId: null }] });
  });

  test('unknown elements are skipped with all they hold', async () => {
    const document = `<Delete><New><Object><Key>x</Key></Object>text</New><Object><Key>a</Key><Other>1</Other></Object></Delete>`;
    await expect(parse(document)).resolves.toEqual({ Quiet: null, Object: [{ Key: 'a', VersionId: null }] });
  });

  test('entities, references and CDATA', async () => {
    await expect(
      keys(`<Delete>${object('&lt;&gt;&amp;&quot;&apos;&#65;&#x1F33E;<![CDATA[<&x;]]>')}</Delete>`),
    ).resolves.toEqual(['<>&"\'A\u{1f33e}<&x;']);
  });

  test.each(['&#x1;', '&#1;', '&#x01;', '&#X1;'.toLowerCase(), '&#0001;'])(
    'a control character as %s',
    async (reference) => {
      await expect(keys(`<Delete>${object(`a${reference}b`)}</Delete>`)).resolves.toEqual(['a\u0001b']);
    },
  );

  test('every character that XML cannot carry, but NUL', async () => {
    const codes = [...Array.from({ length: 31 }, (_, index) => index + 1), 0xfffe, 0xffff];
    for (const form of [(code: number) => `&#x${code.toString(16)};`, (code: number) => `&#${code};`]) {
      const document = `<Delete>${codes.map((code) => object(form(code))).join('')}</Delete>`;
      await expect(keys(document)).resolves.toEqual(codes.map((code) => String.fromCharCode(code)));
    }
  });

  test('a reference that is cut by the end of a slice', async () => {
    for (let shift = 0; shift < 12; shift++) {
      const filler = 'x'.repeat(32 * 1024 - '<Delete><Object><Key>'.length - shift);
      await expect(keys(`<Delete>${object(`${filler}&#x1F;\u00e9&amp;`)}</Delete>`)).resolves.toEqual([
        `${filler}\u001f\u00e9&`,
      ]);
    }
  });

  test('round trip of what the writer writes, for any text without NUL', async () => {
    const anyKey = fc.string({ unit: 'binary' }).map((key) => key.replaceAll('\0', ''));
    await fc.assert(
      fc.asyncProperty(fc.array(anyKey), async (written) => {
        const xml = new XmlWriter('Delete');
        for (const key of written) xml.open('Object').text('Key', key).close();
        expect(await keys(xml.end())).toEqual(written);
      }),
      { numRuns: 500, verbose: 1 },
    );
  });
});

describe('what is refused', () => {
  test.each([
    ['nothing', ''],
    ['white space', ' \n'],
    ['no XML', '{"Delete":{}}'],
    ['another root', '<Remove></Remove>'],
    ['an open end', '<Delete><Object><Key>a</Key></Object>'],
    ['a wrong end', '<Delete></Delet>'],
    ['two roots', '<Delete/><Delete/>'],
    ['a tail', '<Delete/>x'],
    ['a text between elements', '<Delete>x</Delete>'],
    ['an element in a text', `<Delete>${object('<b/>')}</Delete>`],
    ['a missing field', '<Delete><Object><VersionId>1</VersionId></Object></Delete>'],
    ['a field twice', '<Delete><Object><Key>a</Key><Key>b</Key></Object></Delete>'],
    ['a bare ampersand', `<Delete>${object('a&b')}</Delete>`],
    ['an undefined entity', `<Delete>${object('&nbsp;')}</Delete>`],
    ['an entity named like a property', `<Delete>${object('&constructor;')}</Delete>`],
    ['an entity of our own making', `<Delete>${object('&control-1;')}</Delete>`],
    ['a reference to NUL', `<Delete>${object('&#0;')}</Delete>`],
    ['a reference to half a pair', `<Delete>${object('&#xD800;')}</Delete>`],
    ['a reference beyond Unicode', `<Delete>${object('&#x110000;')}</Delete>`],
    ['a raw control character', `<Delete>${object('\u0001')}</Delete>`],
    ['a reference renamed inside CDATA', `<Delete>${object('<![CDATA[&#x1;]]>')}</Delete>`],
    ['a document type', `<!DOCTYPE Delete><Delete/>`],
    ['a document type after a comment', `<!-- --><!DOCTYPE Delete []><Delete/>`],
    ['a document type inside', `<Delete><!DOCTYPE Delete></Delete>`],
    ['an attribute twice', `<Delete a="" a=""/>`],
  ])('%s', async (_what, document) => {
    await expectMalformed(document);
  });

  test('entities that multiply', async () => {
    const levels = Array.from({ length: 9 }, (_, n) => `<!ENTITY l${n + 1} "${`&l${n};`.repeat(10)}">`).join('');
    await expectMalformed(
      `<?xml version="1.0"?><!DOCTYPE Delete [<!ENTITY l0 "lol">${levels}]><Delete>${object('&l9;')}</Delete>`,
    );
  });

  test('external entities', async () => {
    await expectMalformed(
      `<!DOCTYPE Delete [<!ENTITY x SYSTEM "file:///etc/passwd">]><Delete>${object('&x;')}</Delete>`,
    );
  });

  test('bytes that are not UTF-8', async () => {
    await expectMalformed(
      Buffer.concat([bytes('<Delete><Object><Key>'), Buffer.of(0xff), bytes('</Key></Object></Delete>')]),
    );
    await expectMalformed(Buffer.concat([bytes('<Delete/>'), Buffer.of(0xc3)]));
    await expectMalformed(Buffer.from('\ufeff<Delete/>', 'utf16le'));
  });
});

describe('limits', () => {
  test('of a list: 2, 3, 4 elements', async () => {
    for (const count of [2, 3])
      await expect(parse(`<Delete>${object('a').repeat(count)}</Delete>`)).resolves.toMatchObject({
        Object: { length: count },
      });
    await expectMalformed(`<Delete>${object('a').repeat(4)}</Delete>`);
  });

  test('of a text: 19, 20, 21 characters', async () => {
    for (const count of [19, 20])
      await expect(parse(`<Delete>${object('a'.repeat(count))}</Delete>`)).resolves.toBeDefined();
    await expectMalformed(`<Delete>${object('a'.repeat(21))}</Delete>`);
    await expectMalformed(`<Delete>${object(`${'a'.repeat(11)}<![CDATA[${'b'.repeat(10)}]]>`)}</Delete>`);
  });

  test('of elements: 11, 12, 13', async () => {
    for (const count of [10, 11])
      await expect(parse(`<Delete>${'<x/>'.repeat(count)}</Delete>`)).resolves.toBeDefined();
    await expectMalformed(`<Delete>${'<x/>'.repeat(12)}</Delete>`);
  });

  test('of depth: 15, 16, 17', async () => {
    const deep = documentSchema({ root: 'Delete', fields: {}, elementsMax: 1000 });
    const nested = (count: number) => bytes(`<Delete>${'<x>'.repeat(count - 1)}${'</x>'.repeat(count - 1)}</Delete>`);
    for (const count of [15, 16]) await expect(parseXml(nested(count), deep)).resolves.toEqual({});
    await expect(parseXml(nested(17), deep)).rejects.toMatchObject({ code: 'MalformedXML' });
  });

  test('of attributes on one element: 15, 16, 17', async () => {
    const attributes = (count: number) => Array.from({ length: count }, (_, index) => `a${index}=""`).join(' ');
    for (const count of [15, 16])
      await expect(parse(`<Delete ${attributes(count)}><x ${attributes(count)}/></Delete>`)).resolves.toBeDefined();
    await expectMalformed(`<Delete ${attributes(17)}/>`);
  });
});

test('whatever is sent is read, or is MalformedXML', async () => {
  const whole = `<?xml version="1.0"?><Delete xmlns="urn:x"><!-- c --><Quiet>true</Quiet>${object('a&amp;&#x1;<![CDATA[b]]>')}<x y="z"/></Delete>`;
  const piece = fc.oneof(
    fc.constantFrom(
      '<',
      '>',
      '&',
      ';',
      '</',
      '/>',
      '<!',
      '<!--',
      '-->',
      '<![CDATA[',
      ']]>',
      '<?',
      '?>',
      '&#x',
      '"',
      '\u0000',
      '<Object>',
      '<Key>',
    ),
    fc.string({ unit: 'binary', maxLength: 4 }),
  );
  const edit = fc.record({ at: fc.nat(whole.length), cut: fc.nat(20), insert: piece });
  await fc.assert(
    fc.asyncProperty(fc.array(edit, { minLength: 1, maxLength: 4 }), fc.boolean(), async (edits, isLatin) => {
      let document = whole;
      for (const { at, cut, insert } of edits) document = document.slice(0, at) + insert + document.slice(at + cut);
      const outcome = await parseXml(Buffer.from(document, isLatin ? 'latin1' : 'utf8'), schema).then(
        (parsed) => parsed.Object.every(({ Key }) => typeof Key === 'string'),
        (error: unknown) => error instanceof Refusal && error.code === 'MalformedXML',
      );
      expect(outcome).toBe(true);
    }),
    { numRuns: 3000, verbose: 1 },
  );
});

test('a long document leaves the thread to others', async () => {
  let turns = 0;
  let isDone = false;
  const count = () => {
    turns += 1;
    if (!isDone) setImmediate(count);
  };
  setImmediate(count);
  const document = `<Delete>${object('k'.repeat(100)).repeat(10_000)}</Delete>`;
  await keys(document);
  isDone = true;
  expect(turns).toBeGreaterThanOrEqual(Math.floor(document.length / (32 * 1024)) - 1);
});
