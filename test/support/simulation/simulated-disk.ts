/**
 * A file system in memory that knows what of it is durable. Until a file is synced, each of its 512-byte sectors may
 * be found after a power loss as it was at the last sync or as any write since has left it, and its length likewise;
 * until a directory is synced, each change of a name in it may be lost.
 */
import type { Random } from '../../unit/journal/model/random.js';

export const sectorBytes = 512;
type Sector = Buffer | null;

export class SimulatedFile {
  bytes = 0;
  /** By index; a sector that is not here is all zero. */
  readonly sectors = new Map<number, Buffer>();
  /** What a sector may be found as beside what it is: unsynced sectors only. Null: all zero. */
  readonly older = new Map<number, Sector[]>();
  olderBytes: number[] = [];
  /** A sync failed: what was not durable then may be lost although a later sync succeeds. */
  readonly doubtful = new Map<number, Sector[]>();

  clone(): SimulatedFile {
    const copy = new SimulatedFile();
    copy.bytes = this.bytes;
    for (const [index, sector] of this.sectors) copy.sectors.set(index, sector);
    for (const [index, list] of this.older) copy.older.set(index, [...list]);
    for (const [index, list] of this.doubtful) copy.doubtful.set(index, [...list]);
    copy.olderBytes = [...this.olderBytes];
    return copy;
  }

  read(at: number, target: Buffer): number {
    const count = Math.max(0, Math.min(target.length, this.bytes - at));
    target.fill(0, 0, count);
    for (let done = 0; done < count;) {
      const index = Math.floor((at + done) / sectorBytes);
      const from = (at + done) % sectorBytes;
      const length = Math.min(sectorBytes - from, count - done);
      const sector = this.sectors.get(index);
      if (sector !== undefined)
        target.set(length === sectorBytes ? sector : sector.subarray(from, from + length), done);
      done += length;
    }
    return count;
  }

  /** `keeps` says which sectors arrive at all: a torn write. */
  write(at: number, source: Buffer, keeps: (sector: number) => boolean = () => true): void {
    const owned = Buffer.from(source);
    for (let done = 0; done < owned.length;) {
      const index = Math.floor((at + done) / sectorBytes);
      const from = (at + done) % sectorBytes;
      const length = Math.min(sectorBytes - from, owned.length - done);
      if (keeps(index)) {
        const piece = owned.subarray(done, done + length);
        this.#put(index, length === sectorBytes ? piece : this.#patched(index, from, piece));
        this.#grow(at + done + length);
      }
      done += length;
    }
  }

  zero(at: number, bytes: number): void {
    for (const index of [...this.sectors.keys()]) {
      if (index * sectorBytes >= at && (index + 1) * sectorBytes <= at + bytes) this.#put(index, null);
    }
    this.#grow(at + bytes);
  }

  sync(): void {
    this.older.clear();
    this.olderBytes = [];
  }

  syncFailed(): void {
    for (const [index, list] of this.older) {
      this.doubtful.set(index, [...(this.doubtful.get(index) ?? []), ...list]);
    }
    this.older.clear();
  }

  /** Each sector that a sync under way had to write is durable or not. */
  syncInPart(random: Random): void {
    for (const index of [...this.older.keys()]) if (random.chance(0.5)) this.older.delete(index);
  }

  /** What is doubtful is read from the disk from now on, and may turn out not to be there. */
  forget(random: Random): void {
    for (const [index, list] of this.doubtful) if (random.chance(0.5)) this.#set(index, random.pick(list));
    this.doubtful.clear();
  }

  /** The power went. */
  lose(random: Random): void {
    // Now and then all of it or nothing, else every sector for itself.
    const share = random.pick([0, 1, 0.5, 0.5, 0.1, 0.9]);
    for (const lost of [this.doubtful, this.older]) {
      for (const [index, list] of lost) if (!random.chance(share)) this.#set(index, random.pick(list));
      lost.clear();
    }
    if (this.olderBytes.length > 0 && !random.chance(share)) this.bytes = random.pick(this.olderBytes);
    for (const index of [...this.sectors.keys()]) if (index * sectorBytes >= this.bytes) this.sectors.delete(index);
    this.olderBytes = [];
  }

  #patched(index: number, from: number, piece: Buffer): Buffer {
    const sector = Buffer.alloc(sectorBytes);
    this.sectors.get(index)?.copy(sector);
    piece.copy(sector, from);
    return sector;
  }

  #put(index: number, sector: Sector): void {
    // Written again, it is dirty again: the next sync takes it.
    const list = this.older.get(index) ?? this.doubtful.get(index) ?? [];
    this.doubtful.delete(index);
    list.push(this.sectors.get(index) ?? null);
    this.older.set(index, list);
    this.#set(index, sector);
  }

  #set(index: number, sector: Sector): void {
    if (sector === null) this.sectors.delete(index);
    else this.sectors.set(index, sector);
  }

  #grow(end: number): void {
    if (end <= this.bytes) return;
    this.olderBytes.push(this.bytes);
    this.bytes = end;
  }
}

export class SimulatedFolder {
  readonly entries = new Map<string, Node>();
}

export type Node = SimulatedFile | SimulatedFolder;

interface NameChange {
  readonly folder: SimulatedFolder;
  readonly name: string;
  readonly before: Node | undefined;
  readonly after: Node | undefined;
}

export class SimulatedDisk {
  readonly root = new SimulatedFolder();
  /** Changes of names that are not durable yet, in order; those of one element happen together. */
  pending: NameChange[][] = [];

  /** Where it is mounted there may be none: the empty folder under a mount, or not even that. */
  constructor(readonly kind: 'disk' | 'bare folder' | 'no folder' = 'disk') {}

  find(path: string): Node | undefined {
    let node: Node | undefined = this.kind === 'no folder' ? undefined : this.root;
    for (const name of parts(path)) {
      if (!(node instanceof SimulatedFolder)) return undefined;
      node = node.entries.get(name);
    }
    return node;
  }

  /** The folder that holds a path's last name, and that name. */
  place(path: string): { readonly folder: SimulatedFolder; readonly name: string } | null {
    const names = parts(path);
    const name = names.pop();
    const folder = this.find(names.join('/'));
    return folder instanceof SimulatedFolder && name !== undefined ? { folder, name } : null;
  }

  change(...changes: { folder: SimulatedFolder; name: string; after: Node | undefined }[]): void {
    this.pending.push(changes.map((change) => ({ ...change, before: change.folder.entries.get(change.name) })));
    for (const { folder, name, after } of changes) {
      if (after === undefined) folder.entries.delete(name);
      else folder.entries.set(name, after);
    }
  }

  syncFolder(folder: SimulatedFolder): void {
    this.pending = this.pending.filter((changes) => changes.every((change) => change.folder !== folder));
  }

  /** Every file that has a name, by path. */
  *files(folder: SimulatedFolder = this.root, path = ''): Generator<[string, SimulatedFile]> {
    for (const [name, node] of folder.entries) {
      if (node instanceof SimulatedFile) yield [`${path}${name}`, node];
      else yield* this.files(node, `${path}${name}/`);
    }
  }

  lose(random: Random): void {
    // A file system with a journal loses the latest changes, one without any of them.
    const kept = random.below(this.pending.length + 1);
    const isOrdered = random.chance(0.5);
    for (let at = this.pending.length - 1; at >= 0; at--) {
      if (isOrdered ? at < kept : random.chance(0.5)) continue;
      for (const { folder, name, before, after } of this.pending[at] ?? []) {
        if (folder.entries.get(name) !== after) continue;
        if (before === undefined) folder.entries.delete(name);
        else folder.entries.set(name, before);
      }
    }
    this.pending = [];
    for (const [, file] of this.files()) file.lose(random);
  }

  clone(): SimulatedDisk {
    const copy = new SimulatedDisk(this.kind);
    const known = new Map<Node, Node>([[this.root, copy.root]]);
    const cloned = (node: Node): Node => {
      const before = known.get(node);
      if (before !== undefined) return before;
      const made = node instanceof SimulatedFile ? node.clone() : new SimulatedFolder();
      known.set(node, made);
      if (node instanceof SimulatedFolder && made instanceof SimulatedFolder) fill(node, made);
      return made;
    };
    const fill = (from: SimulatedFolder, to: SimulatedFolder): void => {
      for (const [name, node] of from.entries) to.entries.set(name, cloned(node));
    };
    fill(this.root, copy.root);
    const clonedOrNone = (node: Node | undefined): Node | undefined => (node === undefined ? undefined : cloned(node));
    copy.pending = this.pending.map((changes) =>
      changes.map(({ folder, name, before, after }) => ({
        folder: cloned(folder) as SimulatedFolder,
        name,
        before: clonedOrNone(before),
        after: clonedOrNone(after),
      })),
    );
    return copy;
  }
}

function parts(path: string): string[] {
  return path.split('/').filter((name) => name !== '');
}
