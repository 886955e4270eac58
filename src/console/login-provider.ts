/** What this room is handed: a provider as its settings and its discovery document say, and the call for credentials. */

export interface LoginProvider {
  /** Of the settings' target; `_` is the one without a name. */
  readonly name: string;
  /** For a button; the name when empty. */
  readonly displayName: string;
  readonly clientId: string;
  /** Empty: a public client, held by PKCE alone. */
  readonly clientSecret: string;
  /** Empty: the usual ones. */
  readonly scopes: readonly string[];
  /** Where the provider sends browsers back to, as it is registered there; empty: below the server's address. */
  readonly redirectUri: string;
  /** Whatever host the browser asked for is the one to come back to. */
  readonly isRedirectDynamic: boolean;
  /** Empty: policies come from a claim. */
  readonly roleArn: string;
  /** The access token goes along, for the claims of the userinfo endpoint. */
  readonly sendsAccessToken: boolean;
  /** The claim that people know an account by; empty: a usual one. */
  readonly nameClaim: string;
  /** Its discovery document, kept by whoever hands it out. Rejects while the provider is down. */
  document(): Promise<object>;
}

/** Whose request it is that credentials are asked for. */
export interface AssumeRequest {
  readonly id: string;
  readonly remoteAddress: string;
  readonly secure: boolean;
  readonly userAgent: string;
}

/** The answer of AssumeRoleWithWebIdentity. */
export type AssumeOutcome =
  | { readonly isGranted: true; readonly accessKey: string; readonly expiresMs: number }
  | { readonly isGranted: false; readonly status: number; readonly code: string; readonly message: string };
