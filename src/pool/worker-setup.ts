/** What every worker is given when it starts. */
export interface WorkerSetup {
  readonly arena: SharedArrayBuffer;
  /** 32 bytes: the deployment's bitrot key. */
  readonly hashKey: Uint8Array;
}
