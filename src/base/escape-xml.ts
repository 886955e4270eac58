/**
 * Text for XML element content. Pure.
 *
 * Keys may hold characters that XML 1.0 cannot carry. They are written as numeric references, as AWS does:
 * S3 clients read them, and a client that does not want them asks for encoding-type=url.
 * Tab, line feed and carriage return are references too, since parsers normalise the raw ones.
 */

// U+0000–U+001F, the two noncharacters that XML forbids, lone surrogates, and the markup characters.
const special = /[\u0000-\u001f&<>"\ufffe\uffff\p{Surrogate}]/u;
const specialAll = new RegExp(special.source, 'gu');

export function escapeXml(text: string): string {
  return special.test(text) ? text.replace(specialAll, reference) : text;
}

function reference(character: string): string {
  switch (character) {
    case '&':
      return '&amp;';
    case '<':
      return '&lt;';
    case '>':
      return '&gt;';
    case '"':
      return '&quot;';
    default: {
      const code = character.charCodeAt(0);
      // A lone surrogate has no UTF-8 form: what any encoder would make of it.
      return code >= 0xd800 && code <= 0xdfff ? '\ufffd' : `&#x${code.toString(16).toUpperCase()};`;
    }
  }
}
