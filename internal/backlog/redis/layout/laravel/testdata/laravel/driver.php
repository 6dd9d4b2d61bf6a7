<?php

// Drives Laravel's queues for the tests: each line of the input is a JSON array, a command
// with its arguments, and is answered by {"result": ...} or {"error": ...}.
// "driver.php worker QUEUE" is a worker.

require getenv('FRAMEWORK_ROOT').'/usr/share/php/Illuminate/Queue/autoload.php';
require getenv('FRAMEWORK_ROOT').'/usr/share/php/Illuminate/Redis/autoload.php';
require getenv('FRAMEWORK_ROOT').'/usr/share/php/Illuminate/Events/autoload.php';

use Illuminate\Container\Container;
use Illuminate\Contracts\Debug\ExceptionHandler;
use Illuminate\Events\Dispatcher;
use Illuminate\Queue\Capsule\Manager;
use Illuminate\Queue\RedisQueue;
use Illuminate\Queue\Worker;
use Illuminate\Queue\WorkerOptions;
use Illuminate\Redis\RedisManager;

const RETRY_AFTER = 3;

class SleepJob
{
    public function fire($job, $data)
    {
        // Only the first worker that has it takes so long.
        if ($job->attempts() === 1) {
            usleep((int) ($data['seconds'] * 1e6));
        }
        $job->delete();
    }
}

class FailJob
{
    public function fire($job, $data)
    {
        throw new RuntimeException('as it should');
    }
}

class Silence implements ExceptionHandler
{
    public function report(Throwable $e) {}

    public function shouldReport(Throwable $e) { return false; }

    public function render($request, Throwable $e) {}

    public function renderForConsole($output, Throwable $e) {}
}

[$host, $port] = explode(':', getenv('REDIS_ADDRESS'));
$container = new Container;
Container::setInstance($container);
$redis = new RedisManager($container, 'phpredis', [
    'options' => ['prefix' => getenv('LARAVEL_PREFIX')],
    'default' => ['host' => $host, 'port' => (int) $port, 'database' => 0],
]);
$container->instance('redis', $redis);
$container->instance('events', $events = new Dispatcher($container));
$manager = new Manager($container);
$manager->addConnection(['driver' => 'redis', 'connection' => 'default', 'queue' => 'default', 'retry_after' => RETRY_AFTER]);
$queues = $manager->getQueueManager();
$queue = $queues->connection('default');

if (($argv[1] ?? '') === 'worker') {
    $worker = new Worker($queues, $events, new Silence, fn () => false);
    $worker->daemon('default', $argv[2], new WorkerOptions(backoff: 2, timeout: 0, sleep: 0.05, maxTries: 3));
    exit;
}

// version returns the number that Debian gives the package of the queues.
function version()
{
    $log = glob(getenv('FRAMEWORK_ROOT').'/usr/share/doc/php-illuminate-queue/changelog.Debian.gz')[0];
    preg_match('/\(([0-9.]+)/', gzdecode(file_get_contents($log)), $found);

    return $found[1];
}

// due returns when the first delayed job is due.
function due($redis, $name)
{
    return (int) array_values($redis->connection()->zrange("queues:$name:delayed", 0, 0, ['withscores' => true]))[0];
}

function counts(RedisQueue $queue, $redis, $name)
{
    $delayed = $redis->connection()->zrange("queues:$name:delayed", 0, -1, ['withscores' => true]);
    $reserved = $redis->connection()->zcard("queues:$name:reserved");

    return [
        'size' => $queue->size($name),
        'pending' => method_exists($queue, 'pendingSize') ? $queue->pendingSize($name) : $queue->size($name) - count($delayed) - $reserved,
        'delayed' => method_exists($queue, 'delayedSize') ? $queue->delayedSize($name) : count($delayed),
        'reserved' => method_exists($queue, 'reservedSize') ? $queue->reservedSize($name) : $reserved,
        'created' => method_exists($queue, 'creationTimeOfOldestPendingJob') ? (int) $queue->creationTimeOfOldestPendingJob($name) : 0,
    ];
}

while (($line = fgets(STDIN)) !== false) {
    $arguments = json_decode($line, true);
    try {
        $result = match ($arguments[0]) {
            'version' => version(),
            'push' => $queue->push($arguments[2], $arguments[3] ?? ['seconds' => 0], $arguments[1]),
            'later' => $queue->later($arguments[2], $arguments[3], ['seconds' => 0], $arguments[1]),
            'take' => $queue->pop($arguments[1])->getJobId(),
            'clear' => $queue->clear($arguments[1]),
            'due' => due($redis, $arguments[1]),
            'counts' => counts($queue, $redis, $arguments[1]),
        };
        echo json_encode(['result' => $result]), "\n";
    } catch (Throwable $e) {
        echo json_encode(['error' => (string) $e]), "\n";
    }
}
