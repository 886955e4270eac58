import type { S3Deps } from './deps.js';
import type { XmlWriter } from './xml/index.js';

/** Everything belongs to the account of this server. */
export function writeOwner(xml: XmlWriter, element: 'Owner' | 'Initiator', deps: S3Deps): void {
  xml.open(element).text('ID', deps.ownerId).text('DisplayName', deps.ownerDisplayName).close();
}
