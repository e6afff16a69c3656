#pragma once
// Plain twins of update.h, one element at a time, to compare the fast ones with.

#include "kernel/update.h"

namespace weft::kernel::reference {

void SgdUpdate(const SgdOptions& options, std::span<const float> grad, std::span<float> weights,
               std::span<float> velocity);
void AdamwUpdate(const AdamwOptions& options, std::span<const float> grad, std::span<float> weights,
                 std::span<float> first_moment, std::span<float> second_moment);
void Axpy(float a, std::span<const float> x, std::span<float> y);
void Scale(float a, std::span<float> y);
double Norm(std::span<const float> x);
bool AllFinite(std::span<const float> x);

}  // namespace weft::kernel::reference
