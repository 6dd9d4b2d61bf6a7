<?php

// Drives Laravel's database queue for the tests: each line of the input is a JSON array of an operation
// and its arguments, each line of the output {"result": ...} or {"error": ...}.

foreach (['Queue', 'Database', 'Events'] as $part) {
    require getenv('FRAMEWORK_ROOT')."/usr/share/php/Illuminate/$part/autoload.php";
}

use Illuminate\Database\Capsule\Manager as Database;
use Illuminate\Queue\DatabaseQueue;
use Illuminate\Container\Container;

class Job
{
    public function fire($job, $data) {}
}

[$host, $port] = explode(':', getenv('MYSQL_ADDRESS'));
$database = new Database();
$database->addConnection([
    'driver' => 'mysql', 'host' => $host, 'port' => $port, 'database' => getenv('MYSQL_DATABASE'),
    'username' => 'root', 'password' => '', 'charset' => 'utf8mb4', 'collation' => 'utf8mb4_unicode_ci',
]);
$connection = $database->getConnection();
$queue = new DatabaseQueue($connection, 'jobs', 'default', 90);
$queue->setContainer(new Container());

$operations = [
    // The number that Debian gives the package of the queues.
    'version' => function () {
        $log = glob(getenv('FRAMEWORK_ROOT').'/usr/share/doc/php-illuminate-queue/changelog.Debian.gz')[0];
        preg_match('/\(([0-9.]+)/', gzdecode(file_get_contents($log)), $found);

        return $found[1];
    },
    // The columns of Illuminate/Queue/Console/stubs/jobs.stub.
    'setup' => fn () => $connection->getSchemaBuilder()->create('jobs', function ($table) {
        $table->id();
        $table->string('queue')->index();
        $table->longText('payload');
        $table->unsignedTinyInteger('attempts');
        $table->unsignedInteger('reserved_at')->nullable();
        $table->unsignedInteger('available_at');
        $table->unsignedInteger('created_at');
    }),
    'add' => function ($name, $n) use ($queue) {
        for ($i = 0; $i < $n; $i++) {
            $queue->push('Job', [], $name);
        }
    },
    'delay' => fn ($name, $seconds) => $queue->later($seconds, 'Job', [], $name),
    'take' => function ($name, $n) use ($queue) {
        for ($i = 0; $i < $n; $i++) {
            $queue->pop($name);
        }
    },
    // Before version 12 the library counts all jobs together.
    'counts' => fn ($name) => method_exists($queue, 'pendingSize') ? [
        'pending' => $queue->pendingSize($name), 'delayed' => $queue->delayedSize($name), 'reserved' => $queue->reservedSize($name),
    ] : ['all' => $queue->size($name)],
];

while (($line = fgets(STDIN)) !== false) {
    $arguments = json_decode($line, true);
    $operation = array_shift($arguments);
    try {
        $answer = ['result' => $operations[$operation](...$arguments)];
    } catch (Throwable $e) {
        $answer = ['error' => (string) $e];
    }
    echo json_encode($answer), "\n";
}
