/** The webhooks that the settings name, kept as they are while their settings are the same. */
import {
  auditWebhookSubsystem,
  loggerWebhookSubsystem,
  type ServerSettings,
  type WebhookSettings,
} from '../config/index.js';
import { WebhookTarget, type Logger, type WebhookStatistics } from '../telemetry/index.js';

/** What is queued at the end of the server has so long to be sent. */
const closeGraceMs = 2_000;

interface Open {
  readonly settings: WebhookSettings;
  readonly target: WebhookTarget;
}

export class Webhooks {
  readonly #open = { logs: new Map<string, Open>(), audit: new Map<string, Open>() };
  readonly #closing = new Set<Promise<void>>();

  constructor(private readonly log: Pick<Logger, 'warn'>) {}

  follow(settings: ServerSettings): void {
    settings.watch(() => {
      this.#update('logs', 'logger_webhook', settings.targets(loggerWebhookSubsystem));
      this.#update('audit', 'audit_webhook', settings.targets(auditWebhookSubsystem));
    });
  }

  /** For work that only a webhook needs. */
  wants(kind: 'logs' | 'audit'): boolean {
    return this.#open[kind].size > 0;
  }

  send(kind: 'logs' | 'audit', entry: string): void {
    for (const { target } of this.#open[kind].values()) target.send(entry);
  }

  statistics(kind: 'logs' | 'audit'): ReadonlyMap<string, WebhookStatistics> {
    return new Map([...this.#open[kind]].map(([name, { target }]) => [name, target.statistics()]));
  }

  async close(): Promise<void> {
    for (const targets of Object.values(this.#open)) {
      for (const { target } of targets.values()) this.#close(target);
      targets.clear();
    }
    await Promise.all(this.#closing);
  }

  #update(kind: 'logs' | 'audit', subsystem: string, wanted: ReadonlyMap<string, WebhookSettings>): void {
    const open = this.#open[kind];
    for (const [name, { settings, target }] of open) {
      if (isSame(settings, wanted.get(name))) continue;
      open.delete(name);
      this.#close(target);
    }
    for (const [name, settings] of wanted) {
      if (open.has(name)) continue;
      const log = (text: string, fields: Readonly<Record<string, unknown>>) => {
        this.log.warn(text, fields);
      };
      open.set(name, { settings, target: new WebhookTarget({ ...settings, name: `${subsystem}:${name}`, log }) });
    }
  }

  #close(target: WebhookTarget): void {
    const closing: Promise<void> = target.close(closeGraceMs).finally(() => this.#closing.delete(closing));
    this.#closing.add(closing);
  }
}

function isSame(left: WebhookSettings, right: WebhookSettings | undefined): boolean {
  return right !== undefined && JSON.stringify(left) === JSON.stringify(right);
}
