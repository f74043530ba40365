#include "server/store/store_mutex.h"

#include <atomic>
#include <chrono>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "gtest/gtest.h"

namespace sinkwatch::store {
namespace {

// Threads that wait for one lock, and the order in which they got it.
class Queue {
 public:
  Queue() { mutex_.Lock(Urgency::kPatient); }

  void Add(Urgency urgency, char name) {
    std::atomic<bool> started{false};
    threads_.emplace_back([this, urgency, name, &started] {
      started = true;
      StoreLock lock(mutex_, urgency);
      order_ += name;
    });
    while (!started) std::this_thread::yield();
    // It stands in the queue before the next one is added.
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }

  std::string Order() {
    mutex_.Unlock();
    for (std::thread& thread : threads_) thread.join();
    return order_;
  }

 private:
  StoreMutex mutex_;
  std::vector<std::thread> threads_;
  std::string order_;
};

TEST(StoreMutex, LetsUrgentCallersGoFirstAndKeepsTheirOrder) {
  Queue queue;
  queue.Add(Urgency::kPatient, 'p');
  queue.Add(Urgency::kPatient, 'q');
  queue.Add(Urgency::kUrgent, 'A');
  queue.Add(Urgency::kUrgent, 'B');
  EXPECT_EQ(queue.Order(), "ABpq");
}

TEST(StoreMutex, LetsAPatientOneInAfterEightUrgentOnes) {
  Queue queue;
  queue.Add(Urgency::kPatient, 'p');
  for (int i = 0; i < 10; ++i) {
    queue.Add(Urgency::kUrgent, static_cast<char>('A' + i));
  }
  EXPECT_EQ(queue.Order(), "ABCDEFGHpIJ");
}

// A lease is several looks into the store and a write.
class UrgentScopeTest : public testing::Test {
 protected:
  UrgentScopeTest() {
    scope_.emplace();
    mutex_.Lock(Urgency::kUrgent);
    patient_ = std::thread([this] {
      StoreLock lock(mutex_, Urgency::kPatient);
      has_had_turn_ = true;
    });
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    mutex_.Unlock();
  }
  bool HasHadTurn() {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    return has_had_turn_;
  }

  StoreMutex mutex_;
  std::optional<UrgentScope> scope_;
  std::atomic<bool> has_had_turn_{false};
  std::thread patient_;
};

TEST_F(UrgentScopeTest, PatientOnesWaitForTheLastTurnOfWhoTakesSeveral) {
  EXPECT_FALSE(HasHadTurn());
  { StoreLock lock(mutex_, Urgency::kUrgent); }
  EXPECT_FALSE(HasHadTurn());
  scope_.reset();
  patient_.join();
  EXPECT_TRUE(has_had_turn_);
}

TEST_F(UrgentScopeTest, PatientOnesDoNotWaitForMoreThanEightTurns) {
  for (int turn = 1; turn < 8; ++turn) {
    EXPECT_FALSE(has_had_turn_) << turn;
    StoreLock lock(mutex_, Urgency::kUrgent);
  }
  EXPECT_FALSE(HasHadTurn());
  { StoreLock lock(mutex_, Urgency::kUrgent); }
  patient_.join();
  EXPECT_TRUE(has_had_turn_);
  scope_.reset();
}

TEST(StoreMutex, HoldsOneAtATime) {
  StoreMutex mutex;
  int64_t count = 0;
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&, i] {
      for (int n = 0; n < 5000; ++n) {
        StoreLock lock(mutex, i % 2 ? Urgency::kUrgent : Urgency::kPatient);
        ++count;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(count, 20000);
}

}  // namespace
}  // namespace sinkwatch::store
