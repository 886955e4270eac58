/** Everything about accounts in memory, with the indexes that make look-ups independent of how many there are. */
import type { Policy } from '../policy/index.js';
import { KeyEntry, UserEntry, type GroupEntry, type MappingEntry, type PolicyEntry } from './iam-entries.js';
import { mappingName, type IamRecord, type RecordSubject } from './iam-records.js';
import type { PolicyHolder } from './iam.js';
import { isExternalSource } from './principal.js';

const none: readonly string[] = [];
const nobody: ReadonlySet<string> = new Set();

export class IamState {
  readonly users = new Map<string, UserEntry>();
  readonly groups = new Map<string, GroupEntry>();
  readonly policies = new Map<string, PolicyEntry>();
  /** By the name of the record. */
  readonly mappings = new Map<string, { readonly holder: PolicyHolder; readonly value: MappingEntry }>();
  readonly keys = new Map<string, KeyEntry>();
  /** Most parents have one key: no collection for it. */
  readonly #keysOfParent = new Map<string, KeyEntry | Set<KeyEntry>>();
  /** Of external parents alone, whose keys follow their sessions. */
  readonly #serviceAccounts = new Map<string, Set<KeyEntry>>();
  readonly #members = new Map<string, Set<string>>();
  /** Counts the changes on which principals and policy sets depend. */
  generation = 0;

  constructor(readonly builtIn: ReadonlyMap<string, Policy>) {}

  groupsOf(user: string): readonly string[] {
    return this.users.get(user)?.groups ?? none;
  }

  membersOf(group: string): ReadonlySet<string> {
    return this.#members.get(group) ?? nobody;
  }

  keysOf(parent: string): readonly KeyEntry[] {
    const found = this.#keysOfParent.get(parent);
    if (found === undefined) return [];
    return found instanceof Set ? [...found] : [found];
  }

  /** Without its sessions, of which there can be thousands. */
  serviceAccountsOf(parent: string): readonly KeyEntry[] {
    return [...(this.#serviceAccounts.get(parent) ?? [])];
  }

  parents(): IterableIterator<string> {
    return this.#keysOfParent.keys();
  }

  mapping(holder: PolicyHolder): readonly string[] {
    return this.mappings.get(mappingName(holder))?.value.policies ?? none;
  }

  policy(name: string): Policy | null {
    return this.policies.get(name)?.policy ?? this.builtIn.get(name) ?? null;
  }

  put(record: IamRecord): void {
    // Adding a key changes nobody's rights: sessions come by the thousand.
    if (record.kind !== 'key' || this.keys.has(record.value.accessKey)) this.generation++;
    switch (record.kind) {
      case 'user': {
        this.#dropUser(record.value.name);
        const entry = new UserEntry(record.value);
        this.users.set(entry.accessKey, entry);
        for (const group of entry.groups) {
          const members = this.#members.get(group) ?? new Set();
          this.#members.set(group, members.add(entry.accessKey));
        }
        return;
      }
      case 'group':
        this.groups.set(record.value.name, record.value);
        return;
      case 'policy':
        this.policies.set(record.value.name, record.value);
        return;
      case 'mapping':
        this.mappings.set(mappingName(record.holder), { holder: record.holder, value: record.value });
        return;
      case 'key': {
        this.#dropKey(record.value.accessKey);
        const entry = new KeyEntry(record.value);
        this.keys.set(entry.accessKey, entry);
        const siblings = this.#keysOfParent.get(entry.parent);
        if (siblings === undefined) this.#keysOfParent.set(entry.parent, entry);
        else if (siblings instanceof Set) siblings.add(entry);
        else this.#keysOfParent.set(entry.parent, new Set([siblings, entry]));
        if (entry.kind === 'service-account' && isExternalSource(entry.parentSource)) {
          const own = this.#serviceAccounts.get(entry.parent) ?? new Set();
          this.#serviceAccounts.set(entry.parent, own.add(entry));
        }
        return;
      }
    }
  }

  remove(subject: RecordSubject): void {
    if (subject.kind !== 'key') this.generation++;
    switch (subject.kind) {
      case 'user':
        this.#dropUser(subject.name);
        return;
      case 'group':
        this.groups.delete(subject.name);
        return;
      case 'policy':
        this.policies.delete(subject.name);
        return;
      case 'mapping':
        this.mappings.delete(mappingName(subject.holder));
        return;
      case 'key':
        this.#dropKey(subject.name);
        return;
    }
  }

  #dropUser(name: string): void {
    for (const group of this.groupsOf(name)) {
      const members = this.#members.get(group);
      members?.delete(name);
      if (members?.size === 0) this.#members.delete(group);
    }
    this.users.delete(name);
  }

  #dropKey(accessKey: string): void {
    const entry = this.keys.get(accessKey);
    if (entry === undefined) return;
    this.keys.delete(accessKey);
    const own = this.#serviceAccounts.get(entry.parent);
    own?.delete(entry);
    if (own?.size === 0) this.#serviceAccounts.delete(entry.parent);
    const siblings = this.#keysOfParent.get(entry.parent);
    if (siblings instanceof Set && siblings.size > 1) siblings.delete(entry);
    else this.#keysOfParent.delete(entry.parent);
  }
}
