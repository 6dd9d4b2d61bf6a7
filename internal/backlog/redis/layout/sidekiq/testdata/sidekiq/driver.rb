# Drives Sidekiq for the tests: each line of the input is a JSON array, a command with its
# arguments, and is answered by {"result": ...} or {"error": ...}. "driver.rb worker QUEUE..." is a worker,
# "driver.rb slow QUEUE..." one on a machine so busy that its heartbeat is on its way for seconds when it takes a job,
# and "driver.rb reliable QUEUE..." one that keeps its jobs in private lists with names as of GitLab's gem.
# With NAMESPACE all keys have that namespace, by redis-namespace.
require "json"
require "securerandom"
require "sidekiq"
require "sidekiq/api"

def connect(c)
  c.redis = {url: ENV.fetch("REDIS_URL"), namespace: ENV["NAMESPACE"]} if ENV["NAMESPACE"]
end

Sidekiq.configure_client { |c| c.logger = nil; connect(c) }
Sidekiq.configure_server { |c| c.logger.level = Logger::WARN; connect(c) }

class SleepJob
  include Sidekiq::Job
  sidekiq_options retry: 3
  def perform(seconds) = sleep(seconds)
end

class FailJob
  include Sidekiq::Job
  sidekiq_options retry: 3
  def perform = raise("as it should")
end

# Moves a job to a private list of the process, and removes it from there when it is done.
module PrivateLists
  NONCE = SecureRandom.hex(6)
  Work = Struct.new(:queue, :job) do
    def queue_name = queue.delete_prefix("queue:")
    def list = "working:#{queue}:#{Socket.gethostname}:#{Process.pid}:#{NONCE}"
    def acknowledge = Sidekiq.redis { |c| c.lrem(list, 1, job) }
    def requeue = Sidekiq.redis { |c| c.rpush(queue, job) } && acknowledge
  end

  def retrieve_work
    @queues.uniq.each do |queue|
      work = Work.new(queue)
      work.job = Sidekiq.redis { |c| c.rpoplpush(queue, work.list) }
      return work if work.job
    end
    sleep(0.05) && nil
  end

  def bulk_requeue(*) = nil
end

if %w[worker slow reliable].include?(ARGV[0])
  require "sidekiq/cli"
  Sidekiq::BasicFetch.prepend(PrivateLists) if ARGV[0] == "reliable"
  if ARGV[0] == "slow"
    Sidekiq::Launcher.prepend(Module.new do
      # It comes between what a heartbeat says of the work and its time.
      def check_rtt = sleep(2) && super
    end)
    Sidekiq::Manager.prepend(Module.new { def start = sleep(0.5) && super })
  end
  cli = Sidekiq::CLI.instance
  cli.parse(["-r", File.expand_path(__FILE__), "-c", "2", "-t", "1", *ARGV.drop(1).flat_map { |q| ["-q", q] }])
  ARGV.clear
  cli.run
  exit
end
# A worker loads this file again to know the jobs.
return if defined?(Sidekiq::CLI)

def entry(set, jid) = set.find { |job| job.jid == jid }

def of(set, queue) = set.select { |job| job.queue == queue }

# Before Sidekiq 6.5 they are in a class that a new one then took over.
def works = (Sidekiq.const_defined?(:WorkSet) ? Sidekiq::WorkSet : Sidekiq::Workers).new

def counts(queue)
  q = Sidekiq::Queue.new(queue)
  future = of(Sidekiq::ScheduledSet.new, queue) + of(Sidekiq::RetrySet.new, queue)
  now = Time.now
  {
    size: q.size,
    due: future.count { |job| job.at <= now },
    next: future.map { |job| job.at.to_f }.select { |at| at > now.to_f }.min || 0,
    work: works.count { |_, _, work| (work.is_a?(Hash) ? work["queue"] : work.queue) == queue },
    processes: Sidekiq::ProcessSet.new.count { |process| process["queues"].include?(queue) },
    latency: q.latency,
    retries: of(Sidekiq::RetrySet.new, queue).size,
    known: Sidekiq::Queue.all.map(&:name).include?(queue),
    paused: Sidekiq::Stats.new.respond_to?(:queue_summaries) &&
      Sidekiq::Stats.new.queue_summaries.any? { |s| s.name == queue && s.paused? },
  }
end

def run(command, *args)
  case command
  when "version" then Sidekiq::VERSION
  when "push" then Object.const_get(args[1]).set(queue: args[0]).perform_async(*args.drop(2))
  when "in" then Object.const_get(args[2]).set(queue: args[0]).perform_in(args[1], *args.drop(3))
  when "bulk" then Object.const_get(args[2]).set(queue: args[0]).perform_bulk([[0]] * args[1]).size
  when "bulk_at"
    Sidekiq::Client.push_bulk("queue" => args[0], "class" => args[2], "args" => [[0]] * args[1], "at" => Time.now.to_f + args[3]).size
  when "retry_in" then of(Sidekiq::RetrySet.new, args[0]).each { |job| job.reschedule(Time.now + args[1]) }.size
  when "clear" then [Sidekiq::ScheduledSet.new, Sidekiq::RetrySet.new, Sidekiq::Queue.new(args[0])].each(&:clear).size
  when "counts" then counts(args[0])
  end
end

$stdout.sync = true
while (line = $stdin.gets)
  begin
    puts JSON.generate({result: run(*JSON.parse(line))})
  rescue => e
    puts JSON.generate({error: e.full_message(highlight: false)})
  end
end
