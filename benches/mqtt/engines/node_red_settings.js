// A node-red without editor, nodes of others and telemetry. See ../engines.rs for the agreement.
const os = require("os");
module.exports = {
  flowFilePretty: true,
  userDir: process.env.NODE_RED_DIR || process.cwd(),
  httpAdminRoot: false,
  httpNodeRoot: false,
  uiPort: 0,
  uiHost: "127.0.0.1",
  telemetry: { enabled: false, updateNotification: false },
  logging: { console: { level: "warn", metrics: false, audit: false } },
  functionGlobalContext: {
    fs: require("fs"),
    results: process.env.RESULTS,
    end: process.env.MQTT_END,
    say: (word) => process.stdout.write(word + "\n"),
  },
};
