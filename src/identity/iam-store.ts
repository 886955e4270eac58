/**
 * Where identity records are kept: the drives' logs, or etcd. Values are opaque (the identity room encrypts
 * before it writes and opens what it reads). Names are paths such as `iam/users/alice`.
 */
export interface IamChange {
  readonly name: string;
  /** Null removes the record. */
  readonly value: Uint8Array | null;
}

export interface IamStore {
  /** One record; null: there is none of this name. */
  read(name: string): Promise<Uint8Array | null>;
  /** Every record, in order of names. */
  load(visit: (name: string, value: Uint8Array) => void): Promise<void>;
  /** All or nothing, durable when it resolves. Rejects with Refusal SlowDownWrite or XMinioStorageFull. */
  write(changes: readonly IamChange[]): Promise<void>;
  /** Called for changes that others made (etcd); never on the drives. */
  onForeignChange?(listener: (change: IamChange) => void): void;
}
