/** The documents of this protocol: elements within elements, all text. */
import { escapeXml } from '../base/index.js';

export const stsNamespace = 'https://sts.amazonaws.com/doc/2011-06-15/';

/** A name, and its text or its children. */
export type XmlElement = readonly [name: string, content: string | readonly XmlElement[]];

export function stsDocument(root: string, children: readonly XmlElement[]): string {
  return `<?xml version="1.0" encoding="UTF-8"?>\n<${root} xmlns="${stsNamespace}">${children.map(text).join('')}</${root}>`;
}

function text([name, content]: XmlElement): string {
  return `<${name}>${typeof content === 'string' ? escapeXml(content) : content.map(text).join('')}</${name}>`;
}
