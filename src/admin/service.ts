/**
 * The table of the administration API. A family of operations is a file that exports its routes; it
 * counts once it is named here.
 */
import { absentRoutes } from './absent.js';
import { accessKeyViewRoutes } from './access-key-views.js';
import { accessKeyRoutes } from './access-keys.js';
import { accountInfoRoutes } from './account-info.js';
import type { Authenticated, Service } from '../dispatch/index.js';
import { refusalAnswer } from './answer.js';
import { attachmentRoutes } from './attachments.js';
import { azurePolicyRoutes } from './azure-policies.js';
import { bucketArchiveRoutes } from './bucket-archive.js';
import { configRoutes } from './config.js';
import type { AdminDeps } from './deps.js';
import { adminError } from './errors.js';
import { groupRoutes } from './groups.js';
import { healRoutes } from './heal.js';
import { idpConfigRoutes } from './idp-config.js';
import { infoRoutes } from './info.js';
import { ldapRoutes } from './ldap.js';
import { liveMetricsRoutes } from './live-metrics.js';
import { logRoutes } from './logs.js';
import { openIdAccessKeyRoutes } from './openid-access-keys.js';
import { traceRoutes } from './trace.js';
import { iamExportRoutes } from './iam-export.js';
import { iamImportRoutes } from './iam-import.js';
import type { AdminRoute } from './operation.js';
import { policyRoutes } from './policies.js';
import { createRouter } from './router.js';
import { serviceActionRoutes } from './service-actions.js';
import { updateRoutes } from './update.js';
import { userRoutes } from './users.js';

export const adminRoutes: readonly AdminRoute[] = [
  ...userRoutes,
  ...groupRoutes,
  ...policyRoutes,
  ...azurePolicyRoutes,
  ...attachmentRoutes,
  ...accessKeyRoutes,
  ...accessKeyViewRoutes,
  ...openIdAccessKeyRoutes,
  ...ldapRoutes,
  ...accountInfoRoutes,
  ...iamExportRoutes,
  ...iamImportRoutes,
  ...bucketArchiveRoutes,
  ...configRoutes,
  ...idpConfigRoutes,
  ...serviceActionRoutes,
  ...updateRoutes,
  ...infoRoutes,
  ...healRoutes,
  ...liveMetricsRoutes,
  ...logRoutes,
  ...traceRoutes,
  ...absentRoutes,
];

/** Requests whose path starts so belong to this service. */
export const adminPrefixes: readonly string[] = ['/minio/admin/', '/minio/kms/'];

export function createAdminService(deps: AdminDeps): Service<AdminDeps> {
  const route = createRouter(adminRoutes);
  return { deps, route, refuse: (refusal, { request }) => refusalAnswer(refusal, request, deps) };
}

/** Only SigV4 in headers, over the very body that was sent. Throws AccessDenied. */
export function requireHeaderSignature(authenticated: Authenticated): Authenticated {
  const { kind, payload } = authenticated.authentication;
  if (kind !== 'header-v4' || payload.kind !== 'sha256') throw adminError('AccessDenied');
  return authenticated;
}
