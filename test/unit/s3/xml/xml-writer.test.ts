import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { escapeXml, XmlWriter } from '../../../../src/s3/xml/index.js';
import { readXml, text, texts } from '../document-fixture.js';

describe('escapeXml', () => {
  test.each([
    ['plain/key.txt', 'plain/key.txt'],
    ['a&b<c>d"e\'f', "a&amp;b&lt;c&gt;d&quot;e'f"],
    [']]>', ']]&gt;'],
    ['\t\n\r', '&#x9;&#xA;&#xD;'],
    ['\u0001\u001f\u007f\u0085\u2028', '&#x1;&#x1F;\u007f\u0085\u2028'],
    ['\ufffe\uffff', '&#xFFFE;&#xFFFF;'],
    ['\u{1f33e}\u{10ffff}', '\u{1f33e}\u{10ffff}'],
    ['\ud800x\udc00', '\ufffdx\ufffd'],
  ])('writes %j as %j', (raw, escaped) => {
    expect(escapeXml(raw)).toBe(escaped);
  });

  test('is stable when used twice in a row on the same text', () => {
    expect([escapeXml('&'), escapeXml('&'), escapeXml('&')]).toEqual(['&amp;', '&amp;', '&amp;']);
  });

  test('round trip through a reader, for any text', () => {
    const anyText = fc.string({ unit: 'binary' });
    fc.assert(
      fc.property(anyText, (value) => {
        expect(readXml(new XmlWriter('Root').text('Key', value).end()).children[0]!.text).toBe(value);
      }),
      { numRuns: 2000, verbose: 1 },
    );
  });
});

describe('XmlWriter', () => {
  test('writes a whole document', () => {
    const xml = new XmlWriter('Root')
      .text('Name', 'a&b')
      .open('Group')
      .number('Size', 12)
      .boolean('Yes', true)
      .boolean('No', false)
      .etag('ETag', 'abc-2')
      .close()
      .content('tail')
      .end();
    expect(xml).toBe(
      '<?xml version="1.0" encoding="UTF-8"?>\n<Root xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Name>a&amp;b</Name>' +
        '<Group><Size>12</Size><Yes>true</Yes><No>false</No><ETag>&quot;abc-2&quot;</ETag></Group>tail</Root>',
    );
  });

  test('writes no namespace when there is none', () => {
    expect(new XmlWriter('Error', null).end()).toBe('<?xml version="1.0" encoding="UTF-8"?>\n<Error></Error>');
  });

  test('times have milliseconds, whatever was written before', () => {
    const times = fc.integer({ min: 0, max: 253_402_300_799_999 });
    fc.assert(
      fc.property(
        fc.array(
          fc.oneof(
            times,
            times.map((ms) => ms % 3000),
          ),
        ),
        (list) => {
          const xml = new XmlWriter('Root');
          for (const ms of list) xml.time('At', ms);
          expect(texts(readXml(xml.end()), 'At')).toEqual(list.map((ms) => new Date(ms).toISOString()));
        },
      ),
    );
  });

  test('fractions of a millisecond are cut', () => {
    expect(text(readXml(new XmlWriter('Root').time('At', 1999.9).end()), 'At')).toBe('1970-01-01T00:00:01.999Z');
  });

  test('refuses to end with an element open', () => {
    expect(() => new XmlWriter('Root').open('Group').end()).toThrow(/only the root is open/);
  });
});
