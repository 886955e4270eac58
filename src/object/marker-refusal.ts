import { Refusal } from '../base/index.js';
import type { DeleteMarker, MarkerRefusal } from './object-layer.js';

/** NoSuchKey when the latest version is a delete marker, MethodNotAllowed when the one that was asked for is. */
export class DeletedByMarker extends Refusal<MarkerRefusal['code']> implements MarkerRefusal {
  readonly marker: DeleteMarker;

  constructor(code: MarkerRefusal['code'], { versionId, modifiedMs }: DeleteMarker) {
    super(code);
    this.marker = { versionId, modifiedMs };
  }
}
