/**
 * xml: result documents written, request documents read. Knows the codec, no operation.
 */
export { escapeXml } from '../../base/index.js';
export { s3Namespace, XmlWriter } from './xml-writer.js';
export { xmlResponse } from './xml-response.js';
export { parseXml } from './xml-parser.js';
export {
  documentSchema,
  list,
  optionalText,
  requiredText,
  type DocumentSchema,
  type Fields,
  type Parsed,
} from './schema.js';
